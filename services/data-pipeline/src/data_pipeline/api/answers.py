"""The shapes of what the pipeline answers, as JSON schemas: they document, and serialise nothing."""

from __future__ import annotations

from typing import Final

from data_pipeline.api.access import require_internal
from data_pipeline.domain.rollups import Grain
from platform_kit.contract import COUNT, TEXT, TIME, Contract, Guard, Schema, items, nullable, ref, shape

MINOR: Final[Schema] = {"type": "integer", "description": "minor units of `currency`"}
DAY: Final[Schema] = {"type": "string", "format": "date"}
SHARE: Final[Schema] = nullable({"type": "number", "minimum": 0, "maximum": 1})


_SUMS: Final = {
    "payment_count": COUNT,
    "approved_count": COUNT,
    "declined_count": COUNT,
    "amount_minor": MINOR,
    "captured_minor": MINOR,
    "refunded_minor": MINOR,
}
_RUN: Final = {
    "id": TEXT,
    "channel": TEXT,
    "day": DAY,
    "state": {"type": "string", "enum": ["balanced", "broken", "refused"]},
    "position": COUNT,
    "file_made_at": TIME,
    "finished_at": TIME,
    "ledger_count": COUNT,
    "file_count": COUNT,
    "matched_count": COUNT,
    "break_count": COUNT,
    "excluded_count": COUNT,
    "totals": items({"type": "object"}),
    "sha256": TEXT,
    "byte_count": COUNT,
    "line_count": nullable(COUNT),
    "fault": nullable(TEXT),
    "fault_line": nullable(COUNT),
    "fault_detail": nullable(TEXT),
}
_STREAM: Final = {"position": COUNT, "head": nullable(COUNT), "as_of": nullable(TIME)}

CONTRACT: Final = Contract(
    guards={require_internal: Guard("internalToken", "The token that the platform's own services share.")},
    schemas={
        "Overview": shape(
            {
                "now": TIME,
                "day": DAY,
                "streams": {"type": "object", "additionalProperties": shape({"name": TEXT, **_STREAM})},
                "payment_count": COUNT,
                "approval_rate": SHARE,
                "blocked_share": SHARE,
                "p95_ms": nullable(COUNT),
                "unknown_count": COUNT,
                "oldest_unknown_at": nullable(TIME),
                "open_break_count": COUNT,
                "open_quarantine_count": COUNT,
                "volumes": items(shape({"currency": TEXT, **_SUMS})),
                "decisions": items(shape({"decision": TEXT, **_SUMS})),
                "minutes": items(
                    shape(
                        {
                            "bucket_at": TIME,
                            "payment_count": COUNT,
                            "approved_count": COUNT,
                            "declined_count": COUNT,
                        }
                    )
                ),
                "payments": items({"type": "object"}),
                "runs": items(shape(_RUN)),
                "breaks": items(ref("Break")),
            }
        ),
        "Break": shape(
            {
                "id": TEXT,
                "day": DAY,
                "channel": TEXT,
                "break_class": TEXT,
                "settled_type": TEXT,
                "run_id": TEXT,
                "opened_at": TIME,
            }
        ),
        "Run": shape({**_RUN, "breaks": items(ref("Break"))}),
        "RunList": shape({"data": items(ref("Run"))}),
        "Rollups": {
            "type": "object",
            "required": ["grain", "from", "to", "data"],
            "properties": {
                "grain": {"type": "string", "enum": list(Grain)},
                "from": TIME,
                "to": TIME,
                "data": items(
                    shape(
                        {
                            "bucket_at": TIME,
                            "currency": TEXT,
                            "method": TEXT,
                            "channel": TEXT,
                            "decision": TEXT,
                            **_SUMS,
                        }
                    )
                ),
            },
        },
        "LedgerTotals": shape(
            {
                "currencies": items(shape({"currency": TEXT, "transfer_count": COUNT, "moved_minor": MINOR})),
                "as_of": TIME,
            }
        ),
        "Status": shape(
            {
                "payments": ref("StreamReport"),
                "risk": ref("StreamReport"),
                "events_stored": COUNT,
                "quarantine": shape({"open": COUNT, "oldest_at": nullable(TIME)}),
            }
        ),
        "StreamReport": shape({**_STREAM, "lag": nullable(COUNT), "producer_answers": {"type": "boolean"}}),
    },
    links={"Run": {"reconciliations_show_run": ("run_id", "/id")}},
)
