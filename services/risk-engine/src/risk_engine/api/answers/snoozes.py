"""Shapes of rules that rest."""

from typing import Final

from platform_kit.contract import TEXT, TIME, Schema, items, nullable, ref, shape
from risk_engine.api.answers.fields import named
from risk_engine.domain.snoozes import SnoozedBy

SNOOZE: Final = {
    "id": TEXT,
    "object": named("snooze"),
    "rule": TEXT,
    "by": {"type": "string", "enum": [by.value for by in SnoozedBy]},
    "assessment_id": TEXT,
    "until": TIME,
    "reason": TEXT,
    "made_by": TEXT,
    "made_at": TIME,
    "ended_by": nullable(TEXT),
    "ended_at": nullable(TIME),
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Snooze": shape(SNOOZE),
    "SnoozePage": shape({"data": items(ref("Snooze")), "next_cursor": nullable(TEXT)}),
}
