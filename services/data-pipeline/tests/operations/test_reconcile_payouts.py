"""The third side: the bank's statement says of each batch whether the channel's money came."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from pipeline_rig import NOON, TODAY, World, a_line, rows

from data_pipeline.domain import camt053, mt940
from data_pipeline.domain.payouts import PayoutState
from data_pipeline.domain.statements import Statement, StatementEntry
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.reconcile_day import ReconcileDay, reconcile_day
from data_pipeline.operations.reconcile_payouts import reconcile_payouts, report_payouts
from platform_kit.clock import FixedClock

NEXT = TODAY + timedelta(days=1)
BATCH = f"card_sim-{TODAY:%Y%m%d}-EUR"


def told(world: World, *amounts: int, form: ModuleType = camt053, **changes: Any) -> None:
    entries = tuple(StatementEntry(amount, BATCH) for amount in amounts)
    statement = replace(Statement("PLATFORM", 328, "EUR", NEXT, 0, sum(amounts), entries), **changes)
    world.statements["EUR", NEXT.isoformat(), form.__name__.rpartition(".")[2]] = form.generate(statement)


@pytest.fixture
async def settled(deps: Deps, world: World) -> Deps:
    """A day of 2 x 12.50 EUR less 2 x 0.43 of fees, told by the channel; it is the day after."""
    world.settle([a_line(1), a_line(2)])
    await reconcile_day(deps, ReconcileDay("card_sim", TODAY))
    return replace(deps, clock=FixedClock(NOON + timedelta(days=1)))


async def state_of(deps: Deps) -> list[tuple[PayoutState, int | None]]:
    return [(one.state, one.received_minor) for one in await reconcile_payouts(deps, TODAY)]


async def open_classes(deps: Deps) -> set[str]:
    found = await rows(deps.engine, "reconciliation_break")
    return {row["break_class"] for row in found if row["closed_at"] is None}


@pytest.mark.parametrize("form", [camt053, mt940])
async def test_what_arrives_as_the_file_says_is_received(
    settled: Deps, world: World, form: ModuleType
) -> None:
    name = form.__name__.rpartition(".")[2]
    deps = replace(settled, settings=settled.settings.model_copy(update={"statement_format": name}))
    told(world, 2414, form=form)
    assert await state_of(deps) == [(PayoutState.RECEIVED, 2414)]
    [shown] = await report_payouts(deps, TODAY, TODAY)
    assert (shown["charge_minor"], shown["refund_minor"], shown["fee_minor"], shown["net_minor"]) == (
        2500, 0, 86, 2414,
    )  # fmt: skip
    assert shown["difference_minor"] == 0
    assert "payout_not_received" not in await open_classes(deps)


async def test_a_payout_that_is_short_or_missing_is_a_break_that_ends_when_the_money_comes(
    settled: Deps, world: World
) -> None:
    assert await state_of(settled) == [(PayoutState.EXPECTED, None)]
    told(world)
    assert await state_of(settled) == [(PayoutState.MISSING, None)]
    assert "payout_not_received" in await open_classes(settled)
    told(world, 2000)
    assert await state_of(settled) == [(PayoutState.DIFFERS, 2000)]
    assert await open_classes(settled) >= {"payout_amount_differs", "missing_in_ledger"}
    [broken] = [
        row for row in await rows(settled.engine, "reconciliation_break")
        if row["break_class"] == "payout_amount_differs"
    ]  # fmt: skip
    assert (broken["file_amount_minor"], broken["bank_amount_minor"], broken["channel_reference"]) == (
        2414, 2000, BATCH,
    )  # fmt: skip
    told(world, 2000, 414)
    assert await state_of(settled) == [(PayoutState.RECEIVED, 2414)]
    assert not {one for one in await open_classes(settled) if one.startswith("payout")}


async def test_a_run_over_ledger_and_channel_leaves_the_breaks_of_payouts(
    settled: Deps, world: World
) -> None:
    told(world)
    await reconcile_payouts(settled, TODAY)
    await reconcile_day(settled, ReconcileDay("card_sim", TODAY))
    assert await open_classes(settled) == {"payout_not_received", "missing_in_ledger"}


@pytest.mark.parametrize("changes", [{"closing_minor": 9}, {"booked_on": TODAY}, {"currency": "USD"}])
async def test_a_statement_that_is_refused_or_another_is_kept_and_moves_nothing(
    settled: Deps, world: World, changes: dict[str, Any]
) -> None:
    told(world, 2414, **changes)
    assert await state_of(settled) == [(PayoutState.EXPECTED, None)]
    [kept] = await rows(settled.engine, "bank_statement")
    assert kept["fault"]
    assert not {one for one in await open_classes(settled) if one.startswith("payout")}
