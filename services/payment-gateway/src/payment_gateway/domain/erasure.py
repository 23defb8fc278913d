"""A merchant's wish that somebody be forgotten, and what came of it.

waiting   closed: nothing new is sealed under the keys, which die once every process has let go of them
blocked   a dispute is open: its bank may ask who paid; tried again until it is over
erased    the keys are destroyed; `report` says what a scan of everything found afterwards
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from platform_kit.clock import isoformat
from platform_kit.ids import is_id

SOUGHT_MAX: Final = 500  # values that a scan looks for
SOUGHT_LIFETIME: Final = timedelta(
    days=30
)  # a report that never comes keeps the clear values no longer than this
TOO_COMMON: Final = frozenset({"country", "erased"})
"""Members that are true of millions: to find them proves nothing."""


class ErasureStatus(StrEnum):
    WAITING = "waiting"
    BLOCKED = "blocked"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Erasure:
    """`subjects` are tokens. Keys are destroyed at `due_at` at the earliest."""

    id: str
    merchant_id: str
    status: ErasureStatus
    subjects: Sequence[str]
    created_at: datetime
    due_at: datetime
    blocked_by: Sequence[Mapping[str, str]] = ()
    sought: Mapping[str, Any] | None = field(default=None, repr=False)
    """What the scan looks for, sealed under a key of its own; gone once a report says that nothing is left."""
    report: Mapping[str, Any] | None = None
    erased_at: datetime | None = None
    reported_at: datetime | None = None


def erasure_object(erasure: Erasure) -> dict[str, Any]:
    """What is shown of it; never what is looked for."""
    return {
        "id": erasure.id,
        "object": "erasure",
        "merchant_id": erasure.merchant_id,
        "status": erasure.status,
        "subjects": list(erasure.subjects),
        "blocked_by": list(erasure.blocked_by),
        "report": erasure.report,
        "created_at": isoformat(erasure.created_at),
        "due_at": isoformat(erasure.due_at),
        "erased_at": isoformat(erasure.erased_at) if erasure.erased_at else None,
        "reported_at": isoformat(erasure.reported_at) if erasure.reported_at else None,
    }


def sought_in(told: Iterable[Mapping[str, Any]]) -> list[str]:
    """The texts by which somebody would be recognised, each once, the longest first."""
    found = {text for one in told for text in _texts(one)}
    return sorted(found, key=lambda text: (-len(text), text))[:SOUGHT_MAX]


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str) and value.strip() and not is_id("cus", value):  # that names nobody: we made it
        yield value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if name not in TOO_COMMON:
                yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def sought_reference(erasure_id: str) -> str:
    return f"erasure:{erasure_id}"
