"""What lists of things take beside `limit` and `cursor`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from platform_kit.moments import Moment

CreatedFrom = Annotated[Moment | None, Query(description="made then or later")]
CreatedTo = Annotated[Moment | None, Query(description="made before then")]
