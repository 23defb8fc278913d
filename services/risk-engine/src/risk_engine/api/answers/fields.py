"""Fields that several answers share."""

from typing import Final

from platform_kit.contract import Schema

HASH: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def named(word: str) -> Schema:
    return {"type": "string", "const": word}


RATE: Final[Schema] = {"type": "number", "minimum": 0, "maximum": 1}

CHANGE: Final[Schema] = {"type": "number", "minimum": -1, "maximum": 1}
