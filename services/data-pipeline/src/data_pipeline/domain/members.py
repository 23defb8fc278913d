"""Members of a JSON object, read with their type and range. What does not fit is named, never repeated."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from platform_kit.money import CURRENCIES

MINOR_MAX: Final = 10**15  # a payment's sums; one movement is at most 10**12 (platform_kit.money)
TEXT_MAX: Final = 512


class ContractViolation(ValueError):
    """A member is missing or not of its type; ends the reading of one event."""


def text(body: Mapping[str, Any], name: str) -> str:
    """A text of 1 to TEXT_MAX characters that Postgres can store."""
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX or not _is_storable(value):
        raise ContractViolation(f"/{name} is not a text of 1 to {TEXT_MAX} characters")
    return value


def _is_storable(value: str) -> bool:
    """Postgres stores neither U+0000 nor half a surrogate pair in a text."""
    return "\x00" not in value and (value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value))


def text_or_none(body: Mapping[str, Any], name: str) -> str | None:
    """The same, or None for a member that is absent, null or empty."""
    value = body.get(name)
    return None if value is None or value == "" else text(body, name)


def one_of(body: Mapping[str, Any], name: str, allowed: frozenset[str]) -> str:
    """One of a closed list of words."""
    value = body.get(name)
    if not isinstance(value, str) or value not in allowed:
        raise ContractViolation(f"/{name} is not one of {', '.join(sorted(allowed))}")
    return value


def currency(body: Mapping[str, Any]) -> str:
    """The member `currency`: an active ISO 4217 code."""
    value = body.get("currency")
    if not isinstance(value, str) or value not in CURRENCIES:
        raise ContractViolation("/currency is not an active ISO 4217 code")
    return value


def currency_or_none(body: Mapping[str, Any], name: str) -> str | None:
    """A currency, or None for a member that is absent or null."""
    return None if body.get(name) is None else currency({"currency": body[name]})


def minor(body: Mapping[str, Any], name: str) -> int:
    """An amount in minor units, zero included."""
    return integer(body, name, 0, MINOR_MAX)


def integer(body: Mapping[str, Any], name: str, low: int, high: int) -> int:
    """An integer from `low` to `high`; neither a float nor a boolean is one."""
    value = body.get(name)
    if type(value) is not int or not low <= value <= high:  # `type`, because True is an int too
        raise ContractViolation(f"/{name} is not an integer from {low} to {high}")
    return value


def time(body: Mapping[str, Any], name: str) -> datetime:
    """An aware time."""
    value = body.get(name)
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    # Years near the ends of the calendar overflow when a bucket or a time zone moves them by hours.
    if at is None or at.tzinfo is None or not 1970 <= at.year <= 2999:
        raise ContractViolation(f"/{name} is not an ISO 8601 time with a zone")
    return at


def object_(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A JSON object."""
    value = body.get(name)
    if not isinstance(value, Mapping):
        raise ContractViolation(f"/{name} is not an object")
    return value


def optional(body: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """A JSON object, or None for a member that is absent or null."""
    return None if body.get(name) is None else object_(body, name)


def objects(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of JSON objects."""
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise ContractViolation(f"/{name} is not a list of objects")
    return value


def texts(body: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts."""
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(i, str) and _is_storable(i) for i in value):
        raise ContractViolation(f"/{name} is not a list of texts")
    return value
