"""Rule sets: saved, approved, tried."""

from typing import Annotated, Any

from pydantic import Field

from risk_engine.api.schemas.fields import Body, Note
from risk_engine.domain.trial import SHARE_MAX_BP


class RuleDocument(Body):
    """POST /v1/rule-sets: the document; what is in it is checked by the domain, rule by rule."""

    name: Any = None
    reference_currency: Any = None
    reference_rates: Any = None
    amount_bands: Any = None
    score_bands: Any = None
    rules: Any = None


class Approval(Body):
    """POST /v1/rule-sets/{hash}/approve."""

    note: Note | None = None


class TrialRequest(Body):
    """POST /v1/rule-sets/{hash}/trial."""

    share_bp: Annotated[int, Field(ge=0, le=SHARE_MAX_BP)] = 0
    """Basis points of payments that the challenger decides; 0 = it is only heard."""
