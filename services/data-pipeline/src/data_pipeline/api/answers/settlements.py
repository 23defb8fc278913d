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
    "checked_at": nullable(TIME) | {"description": "when it was last compared with facts and books"},
    "differences": {"type": "object", "additionalProperties": {"type": "integer"}}
    | {"description": "what was found then, by name: empty when all agreed"},
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
    "LeftOutMovement": shape(
        {
            "journal_id": TEXT,
            "line": COUNT,
            "found_at": TIME,
            "occurred_at": TIME,
            "merchant_id": nullable(TEXT),
            "currency": TEXT,
            "debit": TEXT,
            "credit": TEXT,
            "amount_minor": MINOR,
            "object_id": TEXT,
            "position": COUNT,
            "taken_by": nullable(TEXT) | {"description": "the batch that has it by now"},
            "next_batch_id": nullable(TEXT)
            | {"description": "the open batch that takes it; null without `taken_by`: no batch can"},
        }
    ),
    "LeftOutList": shape({"data": items(ref("LeftOutMovement")), "next_after": nullable(TEXT)}),
    "SettlementChecks": shape(
        {
            "differing": items(TEXT),
            "unchecked_count": COUNT | {"description": "closed and never looked at; at most 1,000"},
            "unchecked_since": nullable(TIME),
            "checked_since": nullable(TIME) | {"description": "every other batch was looked at since then"},
            "looked_at": nullable(TIME),
            "followed_position": COUNT | {"description": "new movements were looked at up to here"},
            "walked_position": COUNT | {"description": "and by the round through all, up to here"},
            "began_at": nullable(TIME),
            "ended_at": nullable(TIME) | {"description": "of the round; null while it is under way"},
            "next_batch_count": COUNT | {"description": "left out, and taken by the next batch"},
            "no_batch_count": COUNT | {"description": "left out, and no batch can take them"},
        }
    ),
    "SettlementLine": shape(LINE),
    "SettlementLineList": shape({"data": items(ref("SettlementLine")), "next_after": nullable(TEXT)}),
}
