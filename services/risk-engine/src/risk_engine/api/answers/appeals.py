"""Shapes of appeals."""

from typing import Final

from platform_kit.contract import TEXT, TIME, Schema, items, nullable, ref, shape
from risk_engine.api.answers.fields import named
from risk_engine.domain.appeals import AppealStatus, Appellant
from risk_engine.domain.decision import Decision

TOLD: Final[dict[str, Schema]] = {
    "id": TEXT,
    "object": named("appeal"),
    "merchant_id": TEXT,
    "assessment_id": TEXT,
    "payment_id": TEXT,
    "decision": {"type": "string", "enum": [decision.value for decision in Decision]},
    "status": {"type": "string", "enum": [status.value for status in AppealStatus]},
    "text": TEXT | {"description": "what a merchant may be told"},
    "by": {"type": "string", "enum": [appellant.value for appellant in Appellant]},
    "case_id": TEXT,
    "made_at": TIME,
    "due_at": TIME,
    "decided_at": nullable(TIME),
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Appeal": shape({**TOLD, "reason": TEXT, "recorded_by": TEXT}),
    "AppealPage": shape({"data": items(ref("Appeal")), "next_cursor": nullable(TEXT)}),
}
