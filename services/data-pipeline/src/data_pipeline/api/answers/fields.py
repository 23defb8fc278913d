"""Fields that several answers share."""

from __future__ import annotations

from typing import Final

from platform_kit.contract import COUNT, TEXT, TIME, Schema, items, nullable

MINOR: Final[Schema] = {"type": "integer", "description": "minor units of `currency`"}
DAY: Final[Schema] = {"type": "string", "format": "date"}
SHARE: Final[Schema] = nullable({"type": "number", "minimum": 0, "maximum": 1})
SUMS: Final = {
    "payment_count": COUNT,
    "approved_count": COUNT,
    "declined_count": COUNT,
    "amount_minor": MINOR,
    "captured_minor": MINOR,
    "refunded_minor": MINOR,
}
RUN: Final = {
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
    "tolerated_count": COUNT,
    "totals": items({"type": "object"}),
    "sha256": TEXT,
    "byte_count": COUNT,
    "line_count": nullable(COUNT),
    "fault": nullable(TEXT),
    "fault_line": nullable(COUNT),
    "fault_detail": nullable(TEXT),
}
STREAM: Final = {"position": COUNT, "head": nullable(COUNT), "as_of": nullable(TIME)}
