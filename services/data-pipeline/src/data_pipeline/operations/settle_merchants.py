"""Settle merchants: note what open batches come to, close those whose day is over, and see closed ones to their end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.domain.settlement_batch import (
    Figures,
    Movement,
    Ruling,
    State,
    after_payouts,
    end_of_day,
    rule_on,
    settle,
)
from data_pipeline.operations.check_settlements import differences
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.make_statement import make_statement
from data_pipeline.settings import CONSUMER
from data_pipeline.store import positions, settlement_lines
from data_pipeline.store import settlements as settlement_store
from platform_kit.ids import new_id
from platform_kit.logging import get_logger

SLICE: Final = 200  # batches read at once
SCHEDULE: Final = "schedule"
"""Who closes a batch when its day is over."""
Subject = TypeVar("Subject")

settlements_failed = Gauge(
    "pipeline_settlements_failed",
    "Batches that the last look could not bring on: an error is logged of each.",
)

log = get_logger(__name__)


async def settle_merchants(deps: Deps) -> None:
    """One look at everything. Each batch has a transaction of its own: where a look ends, the next one goes on."""
    async with deps.engine.connect() as conn:
        pairs = await settlement_store.pairs_without_open(conn)
    failed = await _each(deps, _open_first, pairs)
    async with deps.engine.connect() as conn:
        batches = await settlement_store.open_batches(conn)
    failed += await _each(deps, _look_at, batches)
    for state, step in (
        (State.CLOSED, _generate),
        (State.GENERATED, _follow_payouts),
        (State.PAID, _reconcile),
    ):
        async for batches in _on_its_way(deps, state):
            failed += await _each(deps, step, batches)
    settlements_failed.set(failed)


async def _each(
    deps: Deps, step: Callable[[Deps, Subject], Awaitable[None]], subjects: Iterable[Subject]
) -> int:
    """How many failed. A merchant that cannot be settled keeps no other one waiting: it is told, and its turn comes
    again with the next look."""
    failed = 0
    for subject in subjects:
        try:
            await step(deps, subject)
        except Exception:
            log.exception("settlement failed", step=step.__name__.lstrip("_"), of=subject)
            failed += 1
    return failed


async def _on_its_way(deps: Deps, state: State) -> AsyncIterator[list[str]]:
    """All batches in this state, in slices, the oldest first: those that wait are passed over, not waited for."""
    after: tuple[datetime, str] | None = None
    while True:
        async with deps.engine.connect() as conn:
            found = await settlement_store.on_its_way(conn, state, after, SLICE)
        if not found:
            return
        yield [batch_id for _, batch_id in found]
        after = found[-1]


async def _open_first(deps: Deps, pair: tuple[str, str]) -> None:
    """The first batch takes everything up to the end of the first day."""
    merchant_id, currency = pair
    now = deps.clock.now()
    async with deps.engine.begin() as conn:
        began = await settlement_store.first_moved(conn, merchant_id, currency, settlement_lines.EARLIEST)
        await settlement_store.open_batch(
            conn,
            {
                "id": new_id("stl"),
                "merchant_id": merchant_id,
                "currency": currency,
                "number": 1,
                "opened_at": settlement_lines.EARLIEST,
                "closes_at": end_of_day(began or now),
                "opening_minor": 0,
                "accounts": {},
                "position": 0,
                "seen_from": None,
                "at": now,
            },
        )


async def _look_at(deps: Deps, batch_id: str) -> None:
    """Close it when its day is over, was seen to its end and had movements; otherwise note what it comes to by now."""
    now = deps.clock.now()
    while True:
        async with deps.engine.begin() as conn:
            await settlement_lines.take_time(conn)
            batch = await settlement_store.lock(conn, batch_id)
            if batch is None or batch["state"] != State.OPEN:
                return
            position, is_seen = await _seen(conn, batch["closes_at"])
            is_over = now >= batch["closes_at"] + timedelta(seconds=deps.settings.settle_close_after_s)
            if not (is_over and is_seen):
                if (
                    position != batch["position"]
                ):  # something was read since the last look, by whichever merchant
                    await _refresh(conn, batch, position, now)
                return
            if await close(conn, batch, batch["closes_at"], position, now, SCHEDULE):
                log.info("settlement closed", batch=batch_id, merchant_id=batch["merchant_id"])
                batch_id = await settlement_store.open_of(conn, batch["merchant_id"], batch["currency"])
            else:  # nothing moved on that day: it is part of the next period in which something does
                moved = await settlement_store.first_moved(
                    conn, batch["merchant_id"], batch["currency"], batch["closes_at"]
                )
                longer = batch | {"closes_at": end_of_day(moved or now)}
                await _refresh(conn, longer, position, now)


async def _seen(conn: AsyncConnection, until: datetime) -> tuple[int, bool]:
    """Our position, and whether everything that the gateway had numbered by `until` is here."""
    for stream in await positions.read(conn, CONSUMER):
        if stream["stream"] == PAYMENTS:
            is_asked = stream["checked_at"] is not None and stream["checked_at"] >= until
            return stream["position"], is_asked and stream["position"] >= stream["head"]
    return 0, False


async def _refresh(conn: AsyncConnection, batch: Mapping[str, Any], position: int, now: datetime) -> None:
    closes_at = batch["closes_at"]
    figures = figures_of(batch, await settlement_lines.movements(conn, batch, closes_at))
    await settlement_store.note(conn, batch["id"], figures, closes_at=closes_at, position=position, at=now)


async def close(
    conn: AsyncConnection,
    batch: Mapping[str, Any],
    closes_at: datetime,
    position: int,
    now: datetime,
    closed_by: str,
) -> bool:
    """Write down the lines of an open batch, close it and open the next one. False, and nothing done, without lines."""
    rulings = rulings_of(batch, await settlement_lines.movements(conn, batch, closes_at))
    if not rulings:
        return False
    figures = figures_of(batch, await settlement_lines.add_lines(conn, batch, closes_at, rulings))
    await settlement_store.note(
        conn, batch["id"], figures, closes_at=closes_at, position=position, at=now, closed_by=closed_by
    )
    await settlement_store.open_batch(
        conn,
        {
            "id": new_id("stl"),
            "merchant_id": batch["merchant_id"],
            "currency": batch["currency"],
            "number": batch["number"] + 1,
            "opened_at": closes_at,
            "closes_at": end_of_day(closes_at),
            "opening_minor": figures.closing_minor,
            "accounts": {
                account: {"opening_minor": balance, "closing_minor": balance}
                for account, balance in figures.closing.items()
            },
            "position": position,
            "seen_from": now - settlement_store.CLOSING_MAX,
            "at": now,
        },
    )
    return True


def rulings_of(batch: Mapping[str, Any], movements: list[Movement]) -> list[tuple[Ruling, bool]]:
    """What each movement is to the batch's merchant; those of others are left out."""
    found = ((rule_on(moved.debit, moved.credit, batch["merchant_id"]), moved.is_late) for moved in movements)
    return [(ruling, is_late) for ruling, is_late in found if ruling is not None]


def figures_of(batch: Mapping[str, Any], movements: list[Movement]) -> Figures:
    opening = {account: sides["opening_minor"] for account, sides in batch["accounts"].items()}
    return settle(batch["merchant_id"], opening, movements)


async def _generate(deps: Deps, batch_id: str) -> None:
    """Make its statement, once the facts of all its payouts are here: a payout stands on it by its destination."""
    async with deps.engine.connect() as conn:
        untold = [
            one["payout_id"] for one in await settlement_store.payouts(conn, batch_id) if not one["status"]
        ]
    if untold:
        log.warning("settlement waits for its payouts", batch=batch_id, untold=untold[:10])
        return
    manifest = await make_statement(deps, batch_id)
    async with deps.engine.begin() as conn:
        await settlement_store.advance(
            conn, batch_id, State.CLOSED, State.GENERATED, deps.clock.now(), manifest
        )


async def _follow_payouts(deps: Deps, batch_id: str) -> None:
    async with deps.engine.begin() as conn:
        payouts = await settlement_store.payouts(conn, batch_id)
        if after_payouts(State.GENERATED, (payout["status"] for payout in payouts)) is State.PAID:
            await settlement_store.advance(conn, batch_id, State.GENERATED, State.PAID, deps.clock.now())


async def _reconcile(deps: Deps, batch_id: str) -> None:
    if differing := await differences(deps, batch_id):
        log.error("settlement differs", batch=batch_id, **differing)
        return
    async with deps.engine.begin() as conn:
        await settlement_store.advance(conn, batch_id, State.PAID, State.RECONCILED, deps.clock.now())
