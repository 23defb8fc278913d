"""Acts on cases."""

from typing import Annotated

from pydantic import Field

from risk_engine.api.schemas.fields import Body, Name, Note
from risk_engine.domain.cases import PAYMENTS_MAX, Verdict

CaseId = Annotated[str, Field(pattern=r"^cas_[0-9a-hjkmnp-tv-z]{26}$")]

CLOSED_AT_ONCE_MAX = 100  # one transaction each, in one request


class CaseAssignment(Body):
    """POST /v1/cases/{id}/assign."""

    assignee: Name


class CaseNote(Body):
    """POST /v1/cases/{id}/notes."""

    text: Note


class CaseDecision(Body):
    """POST /v1/cases/{id}/decide."""

    verdict: Annotated[Verdict, Field(strict=False)]
    reason: Note
    payment_count: Annotated[int, Field(ge=1, le=PAYMENTS_MAX)] | None = None
    """How many payments you looked at: should there be more by now, nothing is decided (409 `case-grew`)."""


class CaseDecisions(Body):
    """POST /v1/cases/decide: the same verdict for many."""

    ids: Annotated[list[CaseId], Field(min_length=1, max_length=CLOSED_AT_ONCE_MAX)]
    verdict: Annotated[Verdict, Field(strict=False)]
    reason: Note
