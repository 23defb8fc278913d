"""Shapes of events that were set aside."""

from __future__ import annotations

from typing import Final

from data_pipeline.operations.replay_quarantine import Outcome
from platform_kit.contract import COUNT, TEXT, TIME, Schema, items, nullable, ref, shape

ROW: Final = {
    "id": COUNT,
    "stream": TEXT,
    "position": COUNT,
    "event_id": nullable(TEXT),
    "type": nullable(TEXT),
    "fault": TEXT,
    "detail": TEXT,
    "attempt_count": COUNT,
    "first_seen_at": TIME,
    "last_seen_at": TIME,
    "state": {"type": "string", "enum": ["open", "replayed", "discarded"]},
    "outcome": nullable({"type": "string", "enum": ["applied", "already_applied", "refused"]}),
    "resolved_at": nullable(TIME),
    "resolved_by": nullable(TEXT),
    "reason": nullable(TEXT),
    "owner": nullable({"type": "string", "description": "the service that told the event"}),
}
SCHEMAS: Final[dict[str, Schema]] = {
    "QuarantinedEvent": shape(ROW),
    "QuarantinedSample": shape({**ROW, "payload": TEXT}),
    "QuarantinePage": shape({"data": items(ref("QuarantinedEvent")), "next_after": nullable(COUNT)}),
    "QuarantineReplay": shape(
        {
            "data": items(
                shape(
                    {
                        "id": COUNT,
                        "outcome": {"type": "string", "enum": list(Outcome)},
                        "detail": nullable(TEXT),
                    }
                )
            ),
            "remaining": COUNT,
        }
    ),
    "QuarantineDiscard": shape({"discarded": items(COUNT)}),
}
