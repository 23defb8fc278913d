"""What is asked against a decision."""

from typing import Annotated

from pydantic import Field

from risk_engine.api.schemas.fields import Body, Id, Note
from risk_engine.domain.appeals import Appellant


class NewAppeal(Body):
    """POST /v1/appeals. `by` says for whom it is asked; the reason names no person."""

    merchant_id: Id
    assessment_id: Id
    by: Annotated[Appellant, Field(strict=False)]
    reason: Note
