"""Events, as they happen."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from platform_cli.daily.gateway import Gateway, NoAnswer, NothingRuns
from platform_cli.daily.telling import Json, console, merchant_gateway, print_json, say

PAUSE_S = 1.0


def tail(
    kind: Annotated[
        str | None, typer.Option("--type", help="such as payment.captured.v1 or refund.*")
    ] = None,
    after: Annotated[str | None, typer.Option(help="the event (evt_…) to go on behind: misses none")] = None,
    lines: Annotated[int, typer.Option("-n", min=0, help="begin with so many old ones")] = 10,
    once: Annotated[bool, typer.Option("--once", help="stop at the newest one")] = False,
    as_json: Json = False,
) -> None:
    """Follow the events as they happen; Ctrl-C ends it."""
    gateway = merchant_gateway()
    try:
        if after is None:
            recent = _newest(gateway, kind, max(lines, 1))  # at least one, to follow on behind it
            after = recent[-1]["id"] if recent else None
            for event in recent[-lines:] if lines else []:
                _print(event, as_json)
            if once:
                return
        for event in _following(gateway, after, kind, once=once):
            _print(event, as_json)
    except KeyboardInterrupt:
        return


def all_events(
    gateway: Gateway,
    *,
    after: str | None = None,
    kind: str | None = None,
    of: str | None = None,
    newest_first: bool = False,
) -> Iterator[dict[str, Any]]:
    """All events there are now, page by page; `of` one object alone."""
    before = None
    while True:
        page = gateway.get(
            "/v1/events", limit=100, after=after, before=before, type=kind, aggregate_id=of,
            order="desc" if newest_first else None,
        )  # fmt: skip
        yield from page["data"]
        if not page["has_more"]:
            return
        last = page["data"][-1]["id"]
        after, before = (None, last) if newest_first else (last, None)


def _newest(gateway: Gateway, kind: str | None, count: int) -> list[dict[str, Any]]:
    """Oldest first."""
    return list(islice(all_events(gateway, kind=kind, newest_first=True), count))[::-1]


def _following(
    gateway: Gateway, after: str | None, kind: str | None, *, once: bool
) -> Iterator[dict[str, Any]]:
    """For ever, unless `once`. A gateway that goes away meanwhile is waited for: no event is missed by that."""
    was_there = False
    is_lost = False
    while True:
        try:
            for event in all_events(gateway, after=after, kind=kind):
                after = event["id"]
                yield event
            was_there, is_lost = True, False
        except (NothingRuns, NoAnswer):
            if not was_there:
                raise
            if not is_lost:
                say("the gateway is away: waiting for it")
            is_lost = True
        if once:
            return
        time.sleep(PAUSE_S)


def _print(event: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(event)
    else:
        console.print(
            f"{event['occurred_at']}  {event['type']:<28} {event['aggregate_id']}  {event['id']}",
            soft_wrap=True,
        )
