"""Shapes of cases."""

from typing import Final

from platform_kit.contract import ANYTHING, COUNT, FLAG, TEXT, TIME, Schema, items, nullable, ref, shape
from risk_engine.api.answers.fields import named
from risk_engine.domain.case_effects import PaymentStatus
from risk_engine.domain.cases import CaseKind, CaseStatus, Verdict
from risk_engine.domain.decision import Decision
from risk_engine.domain.reviews import Priority

_PROPOSAL: Final = {"type": "string", "enum": [verdict.value for verdict in Verdict]}

CASE: Final = {
    "id": TEXT,
    "object": named("case"),
    "kind": {"type": "string", "enum": [kind.value for kind in CaseKind]},
    "merchant_id": TEXT,
    "status": {"type": "string", "enum": [status.value for status in CaseStatus]},
    "priority": {"type": "string", "enum": [priority.value for priority in Priority]},
    "amount_reference_minor": COUNT | {"description": "at stake, in `reference_currency`"},
    "reference_currency": TEXT,
    "payment_count": COUNT,
    "opened_at": TIME,
    "due_at": TIME,
    "overdue": FLAG,
    "assignee": nullable(TEXT),
    "locked_by": nullable(TEXT),
    "locked_until": nullable(TIME),
    "proposed": nullable(_PROPOSAL),
    "proposed_by": nullable(TEXT),
    "verdict": nullable(_PROPOSAL),
    "closed_by": nullable(TEXT),
    "closed_at": nullable(TIME),
}

_CASE_PAYMENT: Final = shape(
    {
        "payment_id": TEXT,
        "assessment_id": nullable(TEXT) | {"description": "null: the gateway held it alone"},
        "amount_minor": COUNT,
        "currency": TEXT,
        "score": nullable(COUNT),
        "reasons": items(shape({"code": TEXT, "text": TEXT})),
        "request": nullable(ANYTHING),
        "added_at": TIME,
        "status": {"type": "string", "enum": [status.value for status in PaymentStatus]},
        "effect": nullable(shape({"code": TEXT, "text": TEXT})),
    }
)

RELATED: Final = shape(
    {
        "payment_id": TEXT,
        "assessment_id": TEXT,
        "merchant_id": TEXT,
        "shares": items({"type": "string", "enum": ["card", "customer", "device", "ip", "email"]}),
        "decision": {"type": "string", "enum": [decision.value for decision in Decision]},
        "score": COUNT,
        "amount_minor": COUNT,
        "currency": TEXT,
        "occurred_at": TIME,
    }
)

_CASE_ACT: Final = shape(
    {
        "id": COUNT,
        "at": TIME,
        "actor": TEXT,
        "kind": TEXT,
        "before": ANYTHING,
        "after": ANYTHING,
        "text": nullable(TEXT),
    }
)


def _each(answer: str) -> Schema:
    """The answer about one of many: what it became, or why not."""
    return {
        "oneOf": [
            shape({"id": TEXT, "status": {"type": "integer", "const": 200}, "case": ref(answer)}),
            shape({"id": TEXT, "status": {"type": "integer", "minimum": 400}, "problem": ref("Problem")}),
        ]
    }


SCHEMAS: Final[dict[str, Schema]] = {
    "Case": shape(CASE),
    "CaseRecord": shape(
        {
            **CASE,
            "payments": items(_CASE_PAYMENT),
            "related": items(RELATED),
            "acts": items(_CASE_ACT),
            "appeal": nullable(ref("Appeal")),
        }
    ),
    "CasePage": shape({"data": items(ref("Case")), "next_cursor": nullable(TEXT)}),
    "NextCase": shape({"case": nullable(ref("Case"))}),
    "DecidedCases": shape({"data": items(_each("Case"))}),
}
