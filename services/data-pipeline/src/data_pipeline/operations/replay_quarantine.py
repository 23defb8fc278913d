"""Replay events that were set aside: through the same handler and the same inbox, past the cursor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import orjson
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.operations.deps import Deps
from data_pipeline.operations.ingest_events import EventRefused, ingest_received
from data_pipeline.settings import CONSUMER
from data_pipeline.store import positions
from data_pipeline.store import quarantine as quarantine_store
from data_pipeline.store.quarantine import Chosen, Waiting
from platform_kit.apply_once import is_transient
from platform_kit.logging import get_logger

REPLAY_MAX: Final = 500  # rows of one call, each of at most 32 kB; what remains is said in the answer

log = get_logger(__name__)


class Outcome(StrEnum):
    """What a replay made of one event."""

    APPLIED = "applied"
    ALREADY_APPLIED = "already_applied"
    REFUSED = "refused"
    NOT_OPEN = "not_open"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One event's outcome; `detail` says why it was refused, or in which state the row was."""

    id: int
    outcome: Outcome
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """What happened to each, and how many of the chosen are still open beyond this call."""

    events: tuple[Replayed, ...]
    remaining: int


async def replay_quarantine(
    deps: Deps, chosen: Chosen, actor: str, reason: str | None = None, limit: int = REPLAY_MAX
) -> Replay:
    """Apply what is open of `chosen`, at most `limit`, aggregate by aggregate in the order of positions.

    One transaction an aggregate: what is done stays done when a later one fails. An event that is refused again
    stays open with one attempt more, and holds nothing else back (ADR 31). An event that had its effects already
    has none again, and the outcome says so.
    """
    async with deps.engine.connect() as conn:
        waiting = await quarantine_store.waiting(conn, chosen, limit)
        told = await _not_open(conn, chosen, {row.id for row in waiting})
    for rows in _by_aggregate(waiting):
        async with deps.engine.begin() as conn:
            told += await _replay_aggregate(conn, rows, actor, reason, deps.clock.now())
    async with deps.engine.connect() as conn:
        still_open = await quarantine_store.count_waiting(conn, chosen)
    refused = sum(one.outcome is Outcome.REFUSED for one in told)
    log.info("quarantine replayed", actor=actor, count=len(told), refused=refused)
    tried = (
        0 if chosen.seen_before else refused
    )  # what was tried just now is no longer among those not seen since
    return Replay(tuple(sorted(told, key=lambda one: one.id)), max(0, still_open - tried))


async def _not_open(conn: AsyncConnection, chosen: Chosen, open_ids: set[int]) -> list[Replayed]:
    """Rows that were asked for by id and do not wait: said, because silence would look like success."""
    missing = [row_id for row_id in chosen.ids or () if row_id not in open_ids]
    if not missing:
        return []
    states = await quarantine_store.states(conn, missing)
    return [
        Replayed(row_id, Outcome.NOT_OPEN, states[row_id])
        if states.get(row_id, "open") != "open"
        else Replayed(row_id, Outcome.NOT_FOUND)
        for row_id in missing
    ]


def _by_aggregate(waiting: Iterable[Waiting]) -> list[list[Waiting]]:
    """Rows of one aggregate together, in order; aggregates by their first row."""
    groups: defaultdict[tuple[str, Any], list[Waiting]] = defaultdict(list)
    for row in waiting:
        groups[row.stream, _aggregate_of(row)].append(row)
    return list(groups.values())


def _aggregate_of(row: Waiting) -> str:
    received = orjson.loads(row.payload)
    return str(received.get("aggregate_id")) if isinstance(received, dict) else ""


async def _replay_aggregate(
    conn: AsyncConnection, rows: Sequence[Waiting], actor: str, reason: str | None, at: datetime
) -> list[Replayed]:
    # The cursor's row first, as the consumer does: roll-ups have one writer at a time, and no two wait crosswise.
    await positions.lock_cursor(conn, CONSUMER, rows[0].stream)
    return [await _replay_one(conn, row, actor, reason, at) for row in rows]


async def _replay_one(
    conn: AsyncConnection, row: Waiting, actor: str, reason: str | None, at: datetime
) -> Replayed:
    if not await quarantine_store.lock_open(conn, row.id):
        return Replayed(row.id, Outcome.NOT_OPEN)
    try:
        async with conn.begin_nested():
            is_new = await ingest_received(conn, row.stream, orjson.loads(row.payload), at)
    except EventRefused as error:
        await quarantine_store.mark_refused(conn, row.id, error.refused.fault, error.refused.detail)
        return Replayed(row.id, Outcome.REFUSED, error.refused.detail)
    except DBAPIError as error:
        if is_transient(error):
            raise
        detail = type(error.orig).__name__
        await quarantine_store.mark_refused(conn, row.id, "not_applicable", detail)
        return Replayed(row.id, Outcome.REFUSED, detail)
    outcome = Outcome.APPLIED if is_new else Outcome.ALREADY_APPLIED
    await quarantine_store.mark_replayed(conn, row.id, outcome, actor, reason)
    return Replayed(row.id, outcome)
