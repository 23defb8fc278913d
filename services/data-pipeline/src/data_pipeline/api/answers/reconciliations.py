"""Shapes of runs and breaks."""

from __future__ import annotations

from typing import Final

from data_pipeline.api.answers.fields import DAY, MINOR, RUN
from data_pipeline.domain.closing import Act, State
from data_pipeline.domain.payouts import PayoutState
from data_pipeline.domain.reconciliation import BreakClass
from platform_kit.contract import ANYTHING, COUNT, FLAG, TEXT, TIME, Schema, items, nullable, ref, shape

BREAK: Final = {
    "id": TEXT,
    "day": DAY,
    "channel": TEXT,
    "break_class": {"type": "string", "enum": sorted(BreakClass)},
    "settled_type": TEXT,
    "run_id": TEXT,
    "opened_at": TIME,
    "closed_at": nullable(TIME),
    "state": {"type": "string", "enum": sorted(State)},
    "resolution": nullable(TEXT),
    "decided_by": nullable(TEXT),
    "owner": nullable(TEXT),
    "file_text": nullable(TEXT),
    "file_fee_minor": nullable(MINOR),
    "expected_fee_minor": nullable(MINOR),
    "ledger_status": nullable(TEXT),
    "bank_amount_minor": nullable(MINOR),
    "bank_sha256": nullable(TEXT),
}
WORKED: Final = {
    **BREAK,
    "difference_minor": {
        "type": "object",
        "additionalProperties": MINOR,
        "description": "by currency: what the channel says less what the ledger has",
    },
    "left_minor": {
        "type": "object",
        "additionalProperties": MINOR,
        "description": "by currency: what is left of it over what was booked",
    },
    "takes_four_eyes": FLAG,
    "days_open": COUNT,
    "age_band": TEXT,
}
ACT: Final = {
    "id": TEXT,
    "act": {"type": "string", "enum": sorted(Act)},
    "actor": TEXT,
    "note": nullable(TEXT),
    "owner": nullable(TEXT),
    "state": TEXT,
    "details": ANYTHING,
    "at": TIME,
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Break": shape(BREAK),
    "ListedBreak": shape(WORKED),
    "BreakList": shape({"data": items(ref("ListedBreak"))}),
    "BreakAct": shape(ACT),
    "WorkedBreak": shape({**WORKED, "acts": items(ref("BreakAct"))}),
    "Evidence": shape(
        {
            "break": ANYTHING,
            "ledger": ANYTHING,
            "channel_file": ANYTHING,
            "bank": ANYTHING,
            "difference_minor": ANYTHING,
            "acts": items(ref("BreakAct")),
            "sha256": TEXT,
        }
    ),
    "ChannelPayout": shape(
        {
            "batch": TEXT,
            "channel": TEXT,
            "settled_on": DAY,
            "currency": TEXT,
            "charge_minor": MINOR,
            "refund_minor": MINOR,
            "fee_minor": MINOR,
            "net_minor": MINOR,
            "state": {"type": "string", "enum": sorted(PayoutState)},
            "received_minor": nullable(MINOR),
            "difference_minor": nullable(MINOR),
            "entry_count": COUNT,
            "statement_sha256": nullable(TEXT),
            "checked_at": TIME,
            "arrived_on": nullable(DAY),
        }
    ),
    "ChannelPayoutList": shape({"data": items(ref("ChannelPayout"))}),
    "Run": shape({**RUN, "breaks": items(ref("Break"))}),
    "RunList": shape({"data": items(ref("Run"))}),
}
