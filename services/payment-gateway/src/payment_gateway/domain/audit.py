"""Administrative acts as they are kept: who did what to what. Never a secret, and of a URL only where it leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from platform_kit.clock import isoformat

ADMINISTRATOR: Final = "administrator"
API_KEY: Final = "api_key"
OPERATOR: Final = "operator"
PLATFORM: Final = "platform"
ACTORS: Final = (ADMINISTRATOR, API_KEY, OPERATOR, PLATFORM)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and in which request. `id` is the API key's, or the name of an operator at the console; the
    administrator and the platform have none."""

    kind: str
    id: str | None = None
    request_id: str | None = None


THE_PLATFORM: Final = Actor(PLATFORM)
"""What acts when nobody asked: a job."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One act, to be written in its transaction. `details` are the members that were given or changed."""

    action: str
    merchant_id: str | None
    """None for what the administrator did to no merchant."""
    object_id: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredEntry:
    id: str
    entry: Entry
    by: Actor
    created_at: datetime


def for_merchant(stored: StoredEntry) -> StoredEntry:
    """As its merchant sees it: that somebody of the platform acted, and neither the name of an employee nor what they
    wrote down for their colleagues."""
    if stored.by.kind != OPERATOR:
        return stored
    details = {name: value for name, value in stored.entry.details.items() if name != "reason"}
    return replace(stored, entry=replace(stored.entry, details=details), by=replace(stored.by, id=None))


def audit_object(stored: StoredEntry) -> dict[str, Any]:
    """What is shown of an act."""
    entry, by = stored.entry, stored.by
    return {
        "id": stored.id,
        "object": "audit_entry",
        "merchant_id": entry.merchant_id,
        "actor": {"type": by.kind, "id": by.id},
        "action": entry.action,
        "object_id": entry.object_id,
        "details": dict(entry.details),
        "request_id": by.request_id,
        "created_at": isoformat(stored.created_at),
    }
