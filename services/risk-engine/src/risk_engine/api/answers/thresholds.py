"""Shapes of proposed thresholds."""

from typing import Final

from platform_kit.contract import ANYTHING, COUNT, Schema, items, thing

SCHEMAS: Final[dict[str, Schema]] = {
    "ThresholdProposal": thing(
        "threshold_proposal",
        {
            "costs": {"type": "object", "additionalProperties": COUNT},
            "payments": COUNT,
            "frauds": COUNT,
            "cost_decided_minor": COUNT,
            "cost_always_minor": {"type": "object", "additionalProperties": COUNT},
            "cost_proposed_minor": COUNT,
            "thresholds": {"type": "object", "additionalProperties": COUNT},
            "score_bands": items(ANYTHING),
            "rules": items(ANYTHING),
        },
    ),
}
