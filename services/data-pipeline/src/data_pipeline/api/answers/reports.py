"""Shapes of reports over roll-ups and facts."""

from __future__ import annotations

from typing import Final

from data_pipeline.api.answers.fields import DAY, MINOR, RUN, SHARE, STREAM, SUMS
from data_pipeline.domain.rollups import Grain
from platform_kit.contract import COUNT, TEXT, TIME, Schema, items, nullable, ref, shape

SCHEMAS: Final[dict[str, Schema]] = {
    "Overview": shape(
        {
            "now": TIME,
            "day": DAY,
            "streams": {"type": "object", "additionalProperties": shape({"name": TEXT, **STREAM})},
            "payment_count": COUNT,
            "approval_rate": SHARE,
            "blocked_share": SHARE,
            "p95_ms": nullable(COUNT),
            "unknown_count": COUNT,
            "oldest_unknown_at": nullable(TIME),
            "open_break_count": COUNT,
            "open_quarantine_count": COUNT,
            "volumes": items(shape({"currency": TEXT, **SUMS})),
            "decisions": items(shape({"decision": TEXT, **SUMS})),
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
            "runs": items(shape(RUN)),
            "breaks": items(ref("Break")),
        }
    ),
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
                        **SUMS,
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
}
