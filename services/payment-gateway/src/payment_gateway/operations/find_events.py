"""A merchant's own events, in the order of their positions, without the positions themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.operations.deps import Deps
from payment_gateway.store import events
from payment_gateway.store.events import EventFilter
from payment_gateway.store.tenancy import as_merchant
from platform_kit.ids import is_id
from platform_kit.problems import NotFound, Problem


class InvalidCursor(Problem):
    status, code, title = 400, "invalid-cursor", "The cursor is not one of ours"


@dataclass(frozen=True, slots=True)
class EventPage:
    """`has_more` is exact: another event of this page's kind lies beyond its last one."""

    events: Sequence[Mapping[str, Any]]
    has_more: bool


async def get_event(deps: Deps, merchant_id: str, event_id: str) -> Mapping[str, Any]:
    """Raises NotFound, also for another merchant's event."""
    found = None
    if is_id("evt", event_id):
        async with as_merchant(deps.engine, merchant_id) as connection:
            found = await events.get(connection, merchant_id, event_id)
    if found is None:
        raise NotFound("This merchant has no such event.")
    return found


async def list_events(
    deps: Deps,
    merchant_id: str,
    *,
    after: str | None,
    before: str | None,
    where: EventFilter,
    newest_first: bool,
    limit: int,
) -> EventPage:
    """Events between the events `after` and `before`, both excluded; stable while events are added.

    Raises InvalidCursor for an id that is no event of this merchant.
    """
    async with as_merchant(deps.engine, merchant_id) as connection:
        found = await events.page(
            connection,
            merchant_id,
            after=await _position(connection, merchant_id, after) or 0,
            before=await _position(connection, merchant_id, before),
            where=where,
            newest_first=newest_first,
            limit=limit + 1,
        )
    return EventPage(found[:limit], len(found) > limit)


async def _position(connection: AsyncConnection, merchant_id: str, event_id: str | None) -> int | None:
    if event_id is None:
        return None
    position = await events.position_of(connection, merchant_id, event_id)
    if position is None:
        raise InvalidCursor("A cursor must be the id of an event that you received.")
    return position
