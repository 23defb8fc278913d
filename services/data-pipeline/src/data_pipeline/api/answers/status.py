"""Shapes of what is read, and how far."""

from __future__ import annotations

from typing import Final

from data_pipeline.api.answers.fields import STREAM
from platform_kit.contract import COUNT, TIME, Schema, nullable, ref, shape

SCHEMAS: Final[dict[str, Schema]] = {
    "Status": shape(
        {
            "payments": ref("StreamReport"),
            "risk": ref("StreamReport"),
            "events_stored": COUNT,
            "quarantine": shape({"open": COUNT, "oldest_at": nullable(TIME)}),
        }
    ),
    "StreamReport": shape({**STREAM, "lag": nullable(COUNT), "producer_answers": {"type": "boolean"}}),
}
