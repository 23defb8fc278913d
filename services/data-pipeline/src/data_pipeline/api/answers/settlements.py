"""Shapes of settlements."""

from __future__ import annotations

from typing import Final

from data_pipeline.api.answers.fields import MINOR
from data_pipeline.domain.facts import PAYOUT_STATUSES
from data_pipeline.domain.merchant_statement import SECTIONS, StatementFormat
from data_pipeline.domain.settlement_batch import ACCOUNTS, Section, State
from platform_kit.contract import COUNT, FLAG, TEXT, TIME, Schema, items, nullable, ref, shape

BATCH: Final = {
    "id": TEXT,
    "merchant_id": TEXT,
    "merchant_name": nullable(TEXT) | {"description": "in force when it was closed"},
    "currency": TEXT,
    "number": COUNT,
    "state": {"type": "string", "enum": sorted(State)},
    "opened_at": TIME,
    "closes_at": TIME,
    "opening_minor": MINOR,
    "closing_minor": MINOR,
    "net_minor": MINOR
    | {"description": "opening, all sections but payouts, and what came back: paid out or carried over"},
    "came_back_minor": MINOR | {"description": "of payouts that failed, were cancelled or returned"},
    "sections": shape({str(section): MINOR for section in SECTIONS}),
    "accounts": shape(
        {account: shape({"opening_minor": MINOR, "closing_minor": MINOR}) for account in ACCOUNTS}
    ),
    "line_count": COUNT,
    "late_count": COUNT,
    "position": COUNT,
    "refreshed_at": TIME,
    "closed_at": nullable(TIME),
    "closed_by": nullable(TEXT),
    "generated_at": nullable(TIME),
    "paid_at": nullable(TIME),
    "reconciled_at": nullable(TIME),
}
LINE: Final = {
    "journal_id": TEXT,
    "line": COUNT,
    "section": {"type": "string", "enum": sorted(Section)},
    "kind": TEXT,
    "occurred_at": TIME,
    "object_id": TEXT,
    "reference": nullable(TEXT),
    "debit": TEXT,
    "credit": TEXT,
    "amount_minor": MINOR,
    "effect_minor": MINOR | {"description": "what it adds to the balance"},
    "is_late": FLAG,
    "position": COUNT,
}
SCHEMAS: Final[dict[str, Schema]] = {
    "ListedSettlement": shape(BATCH),
    "SettlementList": shape({"data": items(ref("ListedSettlement")), "next_after": nullable(TEXT)}),
    "MerchantPayout": shape(
        {
            "payout_id": TEXT,
            "merchant_id": TEXT,
            "status": nullable({"type": "string", "enum": sorted(PAYOUT_STATUSES)})
            | {"description": "null: the payout's own event has not been read yet"},
            "amount_minor": MINOR,
            "currency": TEXT,
            "destination": nullable(TEXT),
            "slot": nullable(TEXT),
            "failure_code": nullable(TEXT),
            "created_at": TIME,
            "updated_at": nullable(TIME),
            "decided_at": nullable(TIME),
            "position": COUNT,
        }
    ),
    "Statement": shape(
        {
            "format": {"type": "string", "enum": sorted(StatementFormat)},
            "sha256": TEXT,
            "byte_count": COUNT,
            "download": shape({"path": TEXT, "expires_at": TIME}),
        }
    ),
    "Settlement": shape(
        {**BATCH, "payouts": items(ref("MerchantPayout")), "statements": items(ref("Statement"))}
    ),
    "SettlementLine": shape(LINE),
    "SettlementLineList": shape({"data": items(ref("SettlementLine")), "next_after": nullable(TEXT)}),
}
