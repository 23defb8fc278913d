"""What all of Stripe's shapes share: ids, times, pages, and the version that they are of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

Object = Mapping[str, Any]
API_VERSION: Final = "2026-10-28.endive"  # the one that the official client of this shape pins


def stripe_id(prefix: str, native_id: str) -> str:
    """Ids as Stripe's clients know them: `pay_X` as `pi_X` or `ch_X`. The rest of an id is the same in both."""
    return f"{prefix}_{native_id.partition('_')[2]}"


def object_list(
    url: str, items: Iterable[Any], has_more: bool, render: Callable[[Object], dict[str, Any]]
) -> dict[str, Any]:
    """A page: auto-paging goes on with the last id while `has_more` is true."""
    return {
        "object": "list",
        "url": url,
        "data": [render(item) for item in items],
        "has_more": has_more,
    }


def epoch(at: str) -> int:
    """Seconds since 1970, as all of Stripe's times are."""
    return int(datetime.fromisoformat(at).timestamp())
