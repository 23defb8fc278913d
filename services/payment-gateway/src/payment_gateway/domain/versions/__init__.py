"""Dated versions of what the API shows. Operations know the newest shape alone; here are the ways back.

A new version is a module with the date of its release: what it changed, and how to show an object as before. A step
back is a pure function per kind of object (its member `object`), wherever in an answer it stands. It changes what it
knows to be new and leaves all else alone, for an answer stored before the release is replayed after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from payment_gateway.domain.versions import v2026_11_26, v2026_11_27

StepBack = Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]

VERSION_HEADER: Final = "Platform-Version"
FIRST: Final = "2026-11-23"
STEPS_BACK: Final[Mapping[str, StepBack]] = {
    "2026-11-26": v2026_11_26.STEP_BACK,
    "2026-11-27": v2026_11_27.STEP_BACK,
}
"""Version -> how what it shows is shown by the one before; the oldest first."""

VERSIONS: Final[tuple[str, ...]] = (FIRST, *STEPS_BACK)
CURRENT: Final = VERSIONS[-1]


_MERCHANTS_OWN: Final = frozenset({"metadata", "customer", "billing_details", "evidence", "details"})
"""Members whose inside is the merchant's: what looks like an object of ours there is none."""


_KINDS_SINCE: Final = {
    version: tuple(
        f'"object":{space}"{kind}"'.encode()  # with a space as Postgres writes what an event holds
        for kind in sorted({kind for one, step in STEPS_BACK.items() if one > version for kind in step})
        for space in ("", " ")
    )
    for version in VERSIONS
}


def may_differ(version: str, body: bytes) -> bool:
    """Whether an answer, as JSON text, holds an object that `version` may show in another way: most hold none, and need
    not be read for it."""
    return any(kind in body for kind in _KINDS_SINCE[version])


def shown_at(version: str, value: Any) -> Any:
    """An answer, or an event's data, as `version` shows it; `value` is the newest shape and is not changed."""
    newer = [step for one, step in STEPS_BACK.items() if one > version]
    return _taken_back(value, newer[::-1]) if newer else value


def _taken_back(value: Any, steps: Sequence[StepBack]) -> Any:
    if isinstance(value, dict):
        shown = {
            name: one if name in _MERCHANTS_OWN else _taken_back(one, steps) for name, one in value.items()
        }
        kind = shown.get("object")
        for step in steps:
            if isinstance(kind, str) and kind in step:
                shown = step[kind](shown)
        return shown
    if isinstance(value, list):
        return [_taken_back(one, steps) for one in value]
    return value
