"""The words that the shapes of answers are made of."""

from __future__ import annotations

from typing import Final

from platform_kit import contract
from platform_kit.contract import TEXT, Schema, items, nullable, ref, shape

MINOR: Final[Schema] = {"type": "integer", "description": "minor units of `currency`"}
AMOUNT: Final[Schema] = MINOR | {"minimum": 1, "examples": [1250]}
TOTAL: Final[Schema] = MINOR | {"minimum": 0}
CURRENCY: Final[Schema] = ref("Currency")
TIME: Final[Schema] = contract.TIME | {"examples": ["2026-11-26T12:00:00.000000Z"]}
LABELS: Final[Schema] = {"type": "object", "additionalProperties": TEXT}
TIMES: Final = {"created_at": TIME, "updated_at": TIME}
OLDER_CURSOR: Final = nullable(TEXT) | {"deprecated": True, "description": "the same as `next_cursor`"}
SHOWN_ONCE: Final = TEXT | {"description": "shown this once"}


def identifier(prefix: str) -> Schema:
    return {"type": "string", "pattern": f"^{prefix}_[0-9a-z_]{{1,60}}$"}


def word(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


def page(schema: str, cursor: str | None = None, *older: str) -> Schema:
    """A list and the cursor that continues it, null at its end (None = it comes whole); older names of it stay."""
    members = {"data": items(ref(schema))} | ({cursor: nullable(TEXT)} if cursor else {})
    return shape(members | dict.fromkeys(older, OLDER_CURSOR))
