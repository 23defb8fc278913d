"""What an API key may do: `<area>:read` and `<area>:write`, where a route's tag says its area. Denied by default.

A key without a list of scopes has all of them: a merchant's first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

AREAS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "payments": "payments",
        "idempotency": "payments",
        "customers": "customers",
        "payment methods": "customers",
        "balance": "balance",
        "disputes": "disputes",
        "ledger": "ledger",
        "events": "events",
        "webhooks": "webhooks",
        "keys": "keys",
        "merchant": "merchant",
        "audit": "audit",
    }
)
"""Tag of a route -> area of its scopes. A route whose tag is not here is open to keys with all scopes only."""

SCOPES: Final = frozenset(f"{area}:{verb}" for area in AREAS.values() for verb in ("read", "write"))
ALL_ONLY: Final = "undeclared"


def needed_scope(tags: Iterable[object], method: str) -> str:
    """The scope that a request to a route with these tags needs."""
    area = next((AREAS[tag] for tag in tags if isinstance(tag, str) and tag in AREAS), None)
    if area is None:
        return ALL_ONLY
    return f"{area}:{'read' if method in ('GET', 'HEAD') else 'write'}"


def allows(scopes: frozenset[str] | None, needed: str) -> bool:
    """Whether a key of these scopes (None: all) may do what needs `needed`. Writing does not include reading."""
    return scopes is None or needed in scopes
