"""Shapes of what was found of the facts."""

from __future__ import annotations

from typing import Final

from data_pipeline.api.answers.fields import DAY, SHARE
from data_pipeline.domain.quality import Severity
from data_pipeline.domain.snapshot import CLOCKS
from platform_kit.contract import COUNT, FLAG, TEXT, TIME, Schema, items, nullable, ref, shape

_TABLE: Final = {"type": "string", "enum": list(CLOCKS)}
_RULE: Final = {
    "rule": TEXT,
    "severity": {"type": "string", "enum": list(Severity)},
    "meaning": TEXT,
}
_FAILURE: Final = {
    **_RULE,
    "column": nullable(TEXT),
    "failed_count": COUNT,
    "sample": items({"type": "object", "additionalProperties": TEXT}),
}

SCHEMAS: Final[dict[str, Schema]] = {
    "QualityTable": shape(
        {
            "table": _TABLE,
            "score": SHARE,
            "row_count": COUNT,
            "looked_at": nullable(TIME),
            "blocked_days": items(DAY),
            "waiting_days": items(DAY)
            | {"description": "changed, and not published since: for want of time, or for their size"},
            "failures": items(shape({"day": DAY, "is_blocked": FLAG, **_FAILURE})),
            "history": items(shape({"day": DAY, "score": SHARE, "is_blocked": FLAG})),
        }
    ),
    "Quality": shape(
        {
            "is_configured": FLAG,
            "blocked_count": COUNT,
            "waiting_count": nullable(COUNT) | {"description": "null: the snapshot could not be read"},
            "tables": items(ref("QualityTable")),
            "rules": items(shape(_RULE)),
        }
    ),
    "QualityLooks": shape(
        {
            "data": items(
                shape(
                    {
                        "name": _TABLE,
                        "day": DAY,
                        "checked_at": TIME,
                        "position": COUNT,
                        "row_count": COUNT,
                        "failed_count": COUNT,
                        "is_blocked": FLAG,
                        "failures": items(shape(_FAILURE)),
                    }
                )
            )
        }
    ),
}
