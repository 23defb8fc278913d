"""Shapes of what was proven again."""

from typing import Final

from platform_kit.contract import ANYTHING, COUNT, TEXT, TIME, Schema, items, nullable, shape, thing

SCHEMAS: Final[dict[str, Schema]] = {
    "Replay": thing(
        "replay",
        {
            "replayed": COUNT,
            "identical": COUNT,
            "left_out": {"type": "object", "additionalProperties": COUNT},
            "differing": COUNT,
            "differences": items(shape({"id": TEXT, "differs": ANYTHING})),
            "next_after": nullable(TEXT),
        },
    ),
    "ChainCheck": thing(
        "chain_check",
        {
            "checked": COUNT,
            "broken_at": nullable(COUNT),
            "behind": COUNT,
            "next_after": nullable(COUNT),
            "swept_at": nullable(TIME),
        },
    ),
}
