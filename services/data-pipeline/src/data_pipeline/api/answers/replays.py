"""Shapes of replays."""

from __future__ import annotations

from typing import Final

from data_pipeline.domain.replay import ReplayState
from platform_kit.contract import ANYTHING, COUNT, FLAG, TEXT, TIME, Schema, items, nullable, ref, shape

SCHEMAS: Final[dict[str, Schema]] = {
    "Replay": shape(
        {
            "id": TEXT,
            "state": {"type": "string", "enum": list(ReplayState)},
            "actor": TEXT,
            "reason": TEXT,
            "may_differ": FLAG,
            "started_at": TIME,
            "finished_at": nullable(TIME),
            "row_count": COUNT,
            "done_count": COUNT,
            "refused_count": COUNT,
            "totals": nullable(ANYTHING),
            "detail": nullable(TEXT),
        }
    ),
    "ReplayList": shape({"data": items(ref("Replay"))}),
}
