"""Look every minute whether what must hold does: the ledger is the warehouse's, and the warehouse is whole."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.clients.gateway_ledger import LedgerNotAvailable
from data_pipeline.domain.invariants import (
    Check,
    Invariant,
    compare_balances,
    compare_totals,
    judge_round,
    judge_settlements,
)
from data_pipeline.domain.rollups import Grain, bucket_start
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.show_settlement_checks import how_far
from data_pipeline.settings import CONSUMER
from data_pipeline.store import balances as balance_store
from data_pipeline.store import invariants as invariant_store
from data_pipeline.store import settlement_checks
from data_pipeline.store.tables import cursor
from platform_kit import inbox
from platform_kit.logging import get_logger

CATCH_UP_S: Final = 20.0  # the consumer is a second behind when it is well
POLL_S: Final = 0.2
WINDOW: Final = 20_000  # positions looked at for holes and torn journals: forty seconds at 500 events/s
DETAIL: Final = timedelta(hours=1)  # of payments that are added up again
GRAINS: Final = timedelta(days=1)
KEPT_FOR: Final = timedelta(days=14)
ANSWERS_MAX: Final = 5  # of 2,000 accounts each in one look
DIFFERING_MAX: Final = 20  # named in the figures; all are counted

invariant_broken = Gauge("pipeline_invariant_broken", "1 while it does not hold.", ["invariant", "severity"])
invariant_judged_at = Gauge("pipeline_invariant_judged_at_seconds", "When it was last judged.", ["invariant"])

log = get_logger(__name__)


async def verify_invariants(deps: Deps) -> list[Check]:
    """Judge every invariant, write down what was found, and alarm. What cannot be judged now says why."""
    now = deps.clock.now()
    checks = [await _ledger_equals_warehouse(deps), await verify_balances(deps)]
    async with deps.engine.connect() as conn:
        checks += await _within_warehouse(conn, deps)
    async with deps.engine.begin() as conn:
        await invariant_store.keep(conn, checks, now)
        await invariant_store.forget(conn, now - KEPT_FOR)
    for check in checks:
        _tell(check, now.timestamp())
    return checks


def _tell(check: Check, at_s: float) -> None:
    name, severity = check.invariant.value, check.invariant.severity.value
    if check.is_kept is None:
        log.warning("invariant not judged", invariant=name, **check.figures)
        return
    invariant_judged_at.labels(name).set(at_s)
    invariant_broken.labels(name, severity).set(int(not check.is_kept))
    if not check.is_kept:
        log.error(
            "invariant broken", invariant=name, severity=severity, position=check.position, **check.figures
        )


async def _ledger_equals_warehouse(deps: Deps) -> Check:
    """Both as of the position that the gateway names: what the consumer reads meanwhile changes neither."""
    try:
        told = await deps.ledger.totals()
    except LedgerNotAvailable as error:
        return _not_judged(
            Invariant.LEDGER_EQUALS_WAREHOUSE, f"the gateway does not tell its totals: {error}"
        )
    if (read := await _wait_until_read(deps, told.position)) < told.position:
        return _not_judged(
            Invariant.LEDGER_EQUALS_WAREHOUSE, f"the warehouse is at {read} of {told.position}"
        )
    if quick := await _moved_since_last_kept(deps, told.position):
        check = compare_totals(told.moved, quick, told.position)
        if check.is_kept:
            return check  # a difference is never judged by the short cut: a replay adds below its position
    async with deps.engine.connect() as conn:
        return compare_totals(told.moved, await invariant_store.moved(conn, 0, told.position), told.position)


async def verify_balances(deps: Deps) -> Check:
    """Account by account, each answer of the gateway as of its own position. With more accounts than a look takes, the
    next look goes on where this one ended: a round of looks has seen them all, and the round is what is judged. Until
    it is over, what it has found and what the round before it found both stand."""
    invariant = Invariant.BALANCES_EQUAL_LEDGER
    async with deps.engine.connect() as conn:
        last_look = await _last_figures(conn, invariant)
    before = _round_so_far(last_look)
    after = (before["ended_at"][0], before["ended_at"][1]) if before["ended_at"] else ("", "")
    count: int = before["accounts"]
    differing: list[str] = []
    position, chain, has_more = 0, None, True
    for _ in range(ANSWERS_MAX):
        try:
            told = await deps.ledger.balances(after)
        except LedgerNotAvailable as error:
            return _not_judged(invariant, f"the gateway does not tell its balances: {error}", last_look)
        if (read := await _wait_until_read(deps, told.position)) < told.position:
            return _not_judged(invariant, f"the warehouse is at {read} of {told.position}", last_look)
        last = max(told.accounts) if told.has_more else None
        async with deps.engine.connect() as conn:
            kept = await balance_store.as_of_position(conn, told.position, after, last)
        ours = {
            name: (had.debits_minor, had.credits_minor, had.debits_held_minor, had.credits_held_minor)
            for name, had in kept.items()
        }
        differing += compare_balances(told.accounts, ours)
        count, position, chain, has_more = (
            count + len(told.accounts),
            told.position,
            told.chain,
            told.has_more,
        )
        if last is None:
            break
        after = last
    figures = {
        "accounts": count,
        "differing": [*before["differing"], *differing][:DIFFERING_MAX],
        "differing_count": before["differing_count"] + len(differing),
        "round_before_differing_count": before["round_before_differing_count"],
        "chain": chain,
        "ended_at": list(after) if has_more else None,
    }
    return judge_round(figures, position)


async def _last_figures(conn: AsyncConnection, invariant: Invariant) -> Mapping[str, Any]:
    looks = await invariant_store.history(conn, invariant, 1)
    return looks[0]["figures"] if looks else {}


def _round_so_far(last_look: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the looks of this round have found before this one."""
    new = {"accounts": 0, "differing": [], "differing_count": 0, "ended_at": None}
    if last_look.get("ended_at"):
        return {**new, "round_before_differing_count": None, **last_look}
    return {**new, "round_before_differing_count": last_look.get("differing_count")}


async def _wait_until_read(deps: Deps, position: int) -> int:
    deadline = asyncio.get_running_loop().time() + CATCH_UP_S
    while True:
        async with deps.engine.begin() as conn:
            read = await inbox.read_cursor(conn, cursor, CONSUMER, PAYMENTS)
        if read >= position or asyncio.get_running_loop().time() > deadline:
            return read
        await asyncio.sleep(POLL_S)


async def _moved_since_last_kept(deps: Deps, until: int) -> dict[str, int] | None:
    """The sums of the last check that held, and what was moved since; None when the full sum is due."""
    full_hour = bucket_start(deps.clock.now(), Grain.HOUR)  # its first check adds everything up
    async with deps.engine.connect() as conn:
        kept = await invariant_store.last_kept(conn, Invariant.LEDGER_EQUALS_WAREHOUSE, full_hour)
        if kept is None or kept[0] > until:
            return None
        position, figures = kept
        before = {code: sides["warehouse_minor"] for code, sides in figures["currencies"].items()}
        return dict(Counter(before) + Counter(await invariant_store.moved(conn, position, until)))


async def _within_warehouse(conn: AsyncConnection, deps: Deps) -> list[Check]:
    now = deps.clock.now()
    position = await inbox.read_cursor(conn, cursor, CONSUMER, PAYMENTS)
    missing = await invariant_store.gaps(conn, CONSUMER, WINDOW)
    torn = await invariant_store.torn_journals(conn, position - WINDOW)
    minutes = await invariant_store.rollup_differences(conn, bucket_start(now - DETAIL, Grain.MINUTE))
    days = await invariant_store.grain_differences(conn, bucket_start(now - GRAINS, Grain.DAY))
    over = await invariant_store.over_refunded(conn)
    full_hour = bucket_start(now, Grain.HOUR)  # until a look of it held, each looks at the whole, too
    kept = await invariant_store.last_kept(conn, Invariant.BALANCES_EQUAL_TRANSFERS, full_hour)
    accounts = await balance_store.differences(
        conn,
        bucket_start(now - DETAIL, Grain.HOUR),
        bucket_start(now - GRAINS, Grain.DAY),
        is_whole_due=kept is None,
    )
    unlike = [f"{row['account']}:{row['currency']}" for row in accounts]
    batches = await settlement_checks.differing(conn, DIFFERING_MAX)
    nobodys = await settlement_checks.nobodys(conn)
    settlements = {"batches": batches, "left_out": nobodys, **await how_far(conn)}
    return [
        Check(Invariant.BALANCES_EQUAL_TRANSFERS, not unlike, {"accounts": unlike}, position),
        Check(Invariant.POSITIONS_WITHOUT_GAP, not any(missing.values()), {"missing": missing}, position),
        Check(Invariant.JOURNALS_ARE_WHOLE, not torn, {"journals": torn}, position),
        Check(Invariant.ROLLUP_EQUALS_DETAIL, not minutes, {"differing_rows": minutes}, position),
        Check(Invariant.ROLLUP_GRAINS_AGREE, not days, {"differing_sums": days}, position),
        Check(Invariant.REFUNDED_WITHIN_CAPTURED, not over, {"payments": over}, position),
        judge_settlements(settlements, now, position),
    ]


def _not_judged(invariant: Invariant, why: str, so_far: Mapping[str, Any] | None = None) -> Check:
    """`so_far` is what the next look goes on from."""
    return Check(invariant, None, {**(so_far or {}), "why": why})
