"""Shapes of runs and breaks."""

from __future__ import annotations

from typing import Final

from data_pipeline.api.answers.fields import DAY, RUN
from platform_kit.contract import TEXT, TIME, Schema, items, ref, shape

SCHEMAS: Final[dict[str, Schema]] = {
    "Break": shape(
        {
            "id": TEXT,
            "day": DAY,
            "channel": TEXT,
            "break_class": TEXT,
            "settled_type": TEXT,
            "run_id": TEXT,
            "opened_at": TIME,
        }
    ),
    "Run": shape({**RUN, "breaks": items(ref("Break"))}),
    "RunList": shape({"data": items(ref("Run"))}),
}
