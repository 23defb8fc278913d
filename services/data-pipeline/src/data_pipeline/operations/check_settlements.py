"""Compare settlements with the facts, bit by bit: each batch when it is closed, each movement when it is new, and all
of them once a day from then on. What is found to be in no batch is written down, and the next batch takes it.

A look ends after its time and the next one goes on: it costs the same whatever has been settled before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.domain.settlement_batch import State, settle
from data_pipeline.domain.settlement_checks import (
    ROUND_EVERY,
    is_round_due,
    unlike_books,
    unlike_lines,
    unlike_previous,
)
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.run_report import at_one_moment
from data_pipeline.settings import CONSUMER
from data_pipeline.store import settlement_checks, settlement_lines
from data_pipeline.store import settlements as settlement_store
from data_pipeline.store.settlement_checks import Walk
from data_pipeline.store.tables import cursor
from platform_kit import inbox
from platform_kit.logging import get_logger

BUDGET_S: Final = 6.0
"""Of a look that has old things to go through: a tenth of a core."""
WINDOW: Final = 20_000  # positions of one statement
SLICE: Final = 20  # batches read at once

movements_left_out = Gauge(
    "pipeline_movements_left_out",
    "Movements that were found in no settlement and are in none yet: the next batch takes them, or no batch can.",
    ["taken_by"],
)

log = get_logger(__name__)


async def check_settlements(deps: Deps, budget_s: float = BUDGET_S) -> None:
    """One look: what is new first, then batches, then the round through all that is old. Each gets a third at least."""
    began = asyncio.get_running_loop().time()
    until = _clock(began + budget_s / 3)
    while not until() and await _follow(deps):
        pass
    until = _clock(began + budget_s * 2 / 3)
    await _check_differing(deps)
    while not until() and await _check_due(deps, until):
        pass
    until = _clock(began + budget_s)
    while not until() and await _walk(deps):
        pass
    async with deps.engine.connect() as conn:
        next_batch, none = await settlement_checks.untaken(conn)
    movements_left_out.labels("next_batch").set(next_batch)
    movements_left_out.labels("no_batch").set(none)


def _clock(deadline: float) -> Callable[[], bool]:
    return lambda: asyncio.get_running_loop().time() > deadline


async def _follow(deps: Deps) -> bool:
    """Look at what was told since the last look; False when that was all."""
    return await _on(deps, _followed)


async def _walk(deps: Deps) -> bool:
    """Look at the next of all that was ever told; False at the end of a round."""
    return await _on(deps, _walked)


async def _on(
    deps: Deps, step: Callable[[Deps, AsyncConnection, Walk, int], Awaitable[tuple[Walk, bool]]]
) -> bool:
    async with deps.engine.begin() as conn:
        head = await inbox.read_cursor(conn, cursor, CONSUMER, PAYMENTS)
        walk = await settlement_checks.walk(conn)
        on, has_more = await step(deps, conn, walk, head)
        await settlement_checks.walk_on(conn, replace(on, looked_at=deps.clock.now()))
    return has_more


async def _followed(deps: Deps, conn: AsyncConnection, walk: Walk, head: int) -> tuple[Walk, bool]:
    until = min(walk.followed_position + WINDOW, head)
    await _note(deps, conn, walk.followed_position, until)
    return replace(walk, followed_position=until), until < head


async def _walked(deps: Deps, conn: AsyncConnection, walk: Walk, head: int) -> tuple[Walk, bool]:
    now, swapped_at = deps.clock.now(), await settlement_checks.swapped_at(conn)
    if is_round_due(walk.began_at, walk.ended_at, swapped_at, now):
        walk = replace(walk, walked_position=0, began_at=now, ended_at=None)
    if walk.ended_at is not None:
        return walk, False
    until = min(walk.walked_position + WINDOW, head)
    await _note(deps, conn, walk.walked_position, until)
    is_over = until >= head
    return replace(walk, walked_position=until, ended_at=now if is_over else None), not is_over


async def _note(deps: Deps, conn: AsyncConnection, after: int, until: int) -> None:
    if until > after and (
        found := await settlement_checks.note_left_out(conn, after, until, deps.clock.now())
    ):
        log.error("movements in no settlement", found=found, after=after, until=until)


async def _check_differing(deps: Deps) -> None:
    """Those that differed: what is mended is told with the next look."""
    async with deps.engine.connect() as conn:
        batches = await settlement_checks.differing(conn, SLICE)
    for batch_id in batches:
        await _check(deps, batch_id)


async def _check_due(deps: Deps, is_late: Callable[[], bool]) -> bool:
    """The next few batches whose turn it is; False when there is none."""
    async with deps.engine.connect() as conn:
        batches = await settlement_checks.unchecked(conn, deps.clock.now() - ROUND_EVERY, SLICE)
    for batch_id in batches:
        await _check(deps, batch_id)
        if is_late():
            break
    return bool(batches)


async def _check(deps: Deps, batch_id: str) -> None:
    differing = await differences(deps, batch_id)
    async with deps.engine.begin() as conn:
        await settlement_checks.checked(conn, batch_id, differing, deps.clock.now())
    if differing:
        log.error("settlement differs", batch=batch_id, **differing)


async def differences(deps: Deps, batch_id: str) -> dict[str, int]:
    """Where a closed batch is not what facts, the batch before it and the books say: empty when all agrees."""
    async with deps.engine.begin() as conn:
        await at_one_moment(conn)
        await settlement_lines.take_time(conn)
        batch = await settlement_store.read(conn, batch_id)
        assert batch is not None
        found = {
            "lines_unlike_facts": await settlement_checks.unlike_facts(conn, batch),
            "payouts_instructed_minor": await settlement_checks.instructed_unlike_told(conn, batch_id),
        }
        found |= unlike_lines(batch, await settlement_checks.line_sums(conn, batch_id))
        found |= unlike_previous(batch, await settlement_store.beside(conn, batch, -1))
        following = await settlement_store.beside(conn, batch, 1)
        if following is not None and following["state"] == State.OPEN:
            found |= await _unlike_books(conn, following)
    return {name: difference for name, difference in found.items() if difference}


async def _unlike_books(conn: AsyncConnection, batch: Mapping[str, Any]) -> dict[str, int]:
    """All batches and what is in none yet, of however late, against the ledger's balances of this moment."""
    waiting = await settlement_lines.movements(conn, batch, settlement_lines.NEVER)
    opening = {account: sides["opening_minor"] for account, sides in batch["accounts"].items()}
    merchant_id = batch["merchant_id"]
    figures = settle(merchant_id, opening, waiting)
    return unlike_books(figures.closing, await settlement_checks.books(conn, merchant_id, batch["currency"]))
