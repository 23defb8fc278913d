"""A merchant's own events, in the order of their positions, without the positions themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payment_gateway.operations.deps import Deps
from payment_gateway.store import events
from platform_kit.problems import Problem


class InvalidCursor(Problem):
    status, code, title = 400, "invalid-cursor", "The cursor is not one of ours"


@dataclass(frozen=True, slots=True)
class EventPage:
    events: Sequence[Mapping[str, Any]]
    next_after: str | None


async def list_events(deps: Deps, merchant_id: str, after: str | None, limit: int) -> EventPage:
    """Events after the event with id `after`. Raises InvalidCursor for an id that is no event of this merchant."""
    async with deps.engine.connect() as connection:
        position = 0
        if after is not None:
            found = await events.position_of(connection, merchant_id, after)
            if found is None:
                raise InvalidCursor("`after` must be the id of an event that you received.")
            position = found
        page = await events.after(connection, merchant_id, position, limit)
    return EventPage(page, page[-1]["id"] if len(page) == limit else None)
