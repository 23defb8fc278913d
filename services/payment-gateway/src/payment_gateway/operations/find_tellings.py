"""A merchant's events as Stripe's clients read them: one of ours is told as one or two of theirs, each with an id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payment_gateway.domain.stripe_objects.tellings import Telling, parts_of, shapes_of, tellings
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.find_events import get_event, list_events
from payment_gateway.store.events import EventFilter
from payment_gateway.store.pages import Window
from platform_kit.problems import NotFound


@dataclass(frozen=True, slots=True)
class Told:
    """An event as `GET /v1/events` shows it, and one of the ways in which it is told."""

    event: Mapping[str, Any]
    telling: Telling


async def get_telling(deps: Deps, merchant_id: str, told: str) -> Told:
    """Raises NotFound, also for an aspect that this event does not have."""
    event_id, aspect = parts_of(told)
    event = await get_event(deps, merchant_id, event_id)
    for telling in tellings(event["type"], event["data"]):
        if telling.aspect == aspect:
            return Told(event, telling)
    raise NotFound("This merchant has no such event.")


async def list_tellings(
    deps: Deps, merchant_id: str, window: Window, names: Sequence[str] | None
) -> tuple[list[Told], bool]:
    """Newest first, with whether there are more beyond. `names` in Stripe's words; None = everything.

    Each event of ours that is read is told at least once, so that as many as are wanted suffice. A cursor may stand
    between the tellings of one event: what remains of that comes first. Raises NotFound for a cursor of nobody's.
    """
    newest_first = window.after is None
    cursor = window.before or window.after
    remaining: list[Told] = []
    event_id = None
    if cursor is not None:
        at = await get_telling(deps, merchant_id, cursor)
        event_id = at.event["id"]
        aspects = [one.aspect for one in _in_order(at.event, None, newest_first=newest_first)]
        behind = set(aspects[aspects.index(at.telling.aspect) + 1 :])
        remaining = [
            Told(at.event, one)
            for one in _in_order(at.event, names, newest_first=newest_first)
            if one.aspect in behind
        ]
    page = await list_events(
        deps,
        merchant_id,
        after=None if newest_first else event_id,
        before=event_id if newest_first else None,
        where=EventFilter(
            shapes=None if names is None else shapes_of(names),
            since=window.created_from,
            until=window.created_to,
        ),
        newest_first=newest_first,
        limit=window.limit + 1,
    )
    for event in page.events:
        remaining += (Told(event, one) for one in _in_order(event, names, newest_first=newest_first))
    found, has_more = remaining[: window.limit], len(remaining) > window.limit
    return (found if newest_first else found[::-1]), has_more


def _in_order(
    event: Mapping[str, Any], names: Sequence[str] | None, *, newest_first: bool
) -> Iterator[Telling]:
    told = tellings(event["type"], event["data"], names)
    return iter(told[::-1] if newest_first else told)
