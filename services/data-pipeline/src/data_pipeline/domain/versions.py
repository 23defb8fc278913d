"""When a service began to answer as another version: a deploy, or a roll-back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

ROLL_OUT: Final = timedelta(minutes=10)
"""So long after a change a pod of the version before it may answer. A roll-back within it is noticed at its end."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A version, and when a service first answered as it."""

    version: str
    seen_at: datetime


def is_change(known: Sequence[Seen], version: str, at: datetime) -> bool:
    """Whether this answer begins another version; `known` are the last two changes, the newest first."""
    if not known:
        return True
    newest, *earlier = known
    if version == newest.version:
        return False
    is_old_pod = bool(earlier) and version == earlier[0].version and at - newest.seen_at < ROLL_OUT
    return not is_old_pod
