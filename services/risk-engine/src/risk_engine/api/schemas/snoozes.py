"""Rules that are to rest."""

from typing import Annotated

from pydantic import Field

from risk_engine.api.schemas.fields import Body, Id, Moment, Note
from risk_engine.domain.snoozes import SnoozedBy


class NewSnooze(Body):
    """POST /v1/snoozes. `by` names what of the assessment's payment the rule is snoozed for."""

    rule: Annotated[str, Field(min_length=1, max_length=64)]
    by: Annotated[SnoozedBy, Field(strict=False)]
    assessment_id: Id
    until: Moment
    reason: Note
