"""Every event type that the engine tells, and the shape of its `data`: the one list of them.

docs/webhooks.md says how one may change.
"""

from __future__ import annotations

from typing import Final

from platform_kit.contract import ANYTHING, COUNT, SHARED, TEXT, TIME, Schema, items, nullable, shape
from platform_kit.event_contract import document_of
from risk_engine.api.answers.appeals import TOLD
from risk_engine.api.answers.assessments import ASSESSMENT
from risk_engine.domain.cases import Verdict
from risk_engine.domain.reviews import Priority
from risk_engine.operations.decide_case import DECIDED
from risk_engine.operations.settle_alerts import RAISED, RESOLVED
from risk_engine.store import appeal_events
from risk_engine.store.assessments import MADE
from risk_engine.store.case_events import CLOSED, OPENED, UPDATED

_SHARE: Final[Schema] = {"type": "number", "minimum": 0, "maximum": 1}
# Members of an alert that came after the first version of its event.
_LATER: Final[dict[str, Schema]] = {"scope": TEXT, "severity": TEXT, "summary": TEXT, "occurrences": COUNT}
_REQUEST: Final = shape(
    {
        "amount_minor": COUNT,
        "currency": TEXT,
        "method": TEXT,
        "card": nullable(TEXT),
        "customer": shape({"id": nullable(TEXT), "country": nullable(TEXT)}),
        "device": nullable(TEXT),
        "ip": nullable(TEXT),
        "occurred_at": TIME,
        "email": TEXT,
        "ip_country": TEXT,
        "terminal": TEXT,
        "card_bin": TEXT,
        "card_country": TEXT,
    },
    optional=("email", "ip_country", "terminal", "card_bin", "card_country"),
)

_QUEUED: Final[dict[str, Schema]] = {
    "priority": {"type": "string", "enum": [priority.value for priority in Priority]},
    "payment_count": COUNT,
    "opened_at": TIME,
    "due_at": TIME,
}
_CASE: Final = shape({"id": TEXT, "merchant_id": TEXT, **_QUEUED, "closed_at": nullable(TIME)})
_DECIDED: Final = shape(
    {
        "id": TEXT,
        "merchant_id": TEXT,
        **_QUEUED,
        "verdict": {"type": "string", "enum": [verdict.value for verdict in Verdict]},
        "reason": TEXT,
        "decided_by": TEXT,
        "proposed_by": nullable(TEXT),
        "decided_at": TIME,
        "payments": items(shape({"payment_id": TEXT, "assessment_id": TEXT})),
    },
    optional=tuple(_QUEUED),
)

EVENTS: Final[dict[str, Schema]] = {
    MADE: shape({"assessment": shape({**ASSESSMENT, "request": _REQUEST}, optional=("probability_ppm",))}),
    OPENED: shape({"case": _CASE}),
    UPDATED: shape({"case": _CASE}),
    CLOSED: shape({"case": _CASE}),
    DECIDED: shape({"case": _DECIDED}),
    appeal_events.MADE: shape({"appeal": shape(TOLD)}),
    appeal_events.DECIDED: shape({"appeal": shape(TOLD)}),
    RAISED: shape(
        {
            "alert": shape(
                {
                    "id": TEXT,
                    "kind": TEXT,
                    "slot_at": TIME,
                    "details": shape({"share": _SHARE, "baseline": _SHARE, "decisions": COUNT}),
                    **_LATER,
                    "measures": ANYTHING,
                },
                optional=(*_LATER, "measures"),
            )
        }
    ),
    RESOLVED: shape(
        {
            "alert": shape(
                {
                    "id": TEXT,
                    "kind": TEXT,
                    **_LATER,
                    "raised_at": TIME,
                    "resolved_at": TIME,
                    "resolved_by": TEXT,
                    "note": nullable(TEXT),
                }
            )
        }
    ),
}


def event_schemas() -> dict[str, Schema]:
    """The complete document of each type."""
    return {kind: document_of(kind, data, SHARED) for kind, data in EVENTS.items()}
