"""The third side: the bank's statement says of each batch whether the channel's money came."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from pipeline_rig import NOON, TODAY, World, a_line, rows

from data_pipeline.domain import camt053, mt940
from data_pipeline.domain.break_filter import BreakFilter
from data_pipeline.domain.payouts import PayoutState
from data_pipeline.domain.statements import Statement, StatementEntry
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.reconcile_day import ReconcileDay, reconcile_day
from data_pipeline.operations.reconcile_payouts import reconcile_payouts, report_payouts
from data_pipeline.operations.reconcile_recent import reconcile_recent
from data_pipeline.operations.show_break import list_breaks
from data_pipeline.store import payouts as payout_store
from data_pipeline.store.payouts import PayoutRow
from platform_kit.clock import FixedClock

NEXT = TODAY + timedelta(days=1)
BATCH = f"card_sim-{TODAY:%Y%m%d}-EUR"


def told(
    world: World,
    *amounts: int,
    form: ModuleType = camt053,
    batch: str = BATCH,
    currency: str = "EUR",
    **changes: Any,
) -> None:
    entries = tuple(StatementEntry(amount, batch) for amount in amounts)
    statement = replace(Statement("PLATFORM", 328, currency, NEXT, 0, sum(amounts), entries), **changes)
    name = form.__name__.rpartition(".")[2]
    world.statements[currency, NEXT.isoformat(), name] = form.generate(statement)


def later(deps: Deps, days: int) -> Deps:
    return replace(deps, clock=FixedClock(NOON + timedelta(days=days)))


@pytest.fixture
async def settled(deps: Deps, world: World) -> Deps:
    """A day of 2 x 12.50 EUR less 2 x 0.43 of fees, told by the channel; it is the day after."""
    world.settle([a_line(1), a_line(2)])
    await reconcile_day(deps, ReconcileDay("card_sim", TODAY))
    return later(deps, 1)


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
    [act] = await rows(settled.engine, "break_act")  # of the one before: a part of the money is not the money
    assert (act["act"], act["details"].get("replaced_by"), act["details"].get("booked_on")) == (
        "closed", "payout_amount_differs", None,
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


@pytest.mark.parametrize("changes", [{"closing_minor": 9}, {"booked_on": TODAY}])
async def test_a_statement_that_is_refused_or_another_is_kept_and_moves_nothing(
    settled: Deps, world: World, changes: dict[str, Any]
) -> None:
    told(world, 2414, **changes)
    assert await state_of(settled) == [(PayoutState.EXPECTED, None)]
    [kept] = await rows(settled.engine, "bank_statement")
    assert kept["fault"]
    assert not {one for one in await open_classes(settled) if one.startswith("payout")}


async def test_a_statement_in_another_currency_is_refused(settled: Deps, world: World) -> None:
    told(world, 2414, currency="USD")
    world.statements["EUR", NEXT.isoformat(), "camt053"] = world.statements.pop(
        ("USD", NEXT.isoformat(), "camt053")
    )
    assert await state_of(settled) == [(PayoutState.EXPECTED, None)]
    [kept] = await rows(settled.engine, "bank_statement")
    assert kept["fault"] == "other_currency"


async def test_one_currency_that_is_expected_holds_up_no_other(deps: Deps, world: World) -> None:
    world.settle([a_line(1), a_line(2), a_line(3, currency="USD")])
    await reconcile_day(deps, ReconcileDay("card_sim", TODAY))
    deps = later(deps, 1)
    told(world)  # EUR; of USD none has come
    assert await state_of(deps) == [(PayoutState.MISSING, None), (PayoutState.EXPECTED, None)]
    assert "payout_not_received" in await open_classes(deps)
    told(world, 2414)
    told(world, 9, currency="USD", batch=f"card_sim-{TODAY:%Y%m%d}-USD")
    await reconcile_payouts(deps, TODAY)
    assert {one for one in await open_classes(deps) if "payout" in one} == {"payout_amount_differs"}


async def test_a_payout_whose_statement_never_comes_is_a_break_and_is_still_looked_for(
    settled: Deps, world: World
) -> None:
    for days, is_open in ((3, False), (4, True), (20, True)):
        await reconcile_recent(later(settled, days))
        assert ("payout_not_received" in await open_classes(settled)) is is_open
    [broken] = [
        row for row in await rows(settled.engine, "reconciliation_break")
        if row["break_class"] == "payout_not_received"
    ]  # fmt: skip
    assert (broken["file_amount_minor"], broken["bank_amount_minor"], broken["bank_sha256"]) == (
        2414,
        None,
        None,
    )
    told(world, 2414)
    await reconcile_recent(later(settled, 21))
    assert not {one for one in await open_classes(settled) if "payout" in one}


async def test_a_missing_payout_is_judged_again_when_a_newer_statement_names_it_or_a_day_has_gone(
    settled: Deps, world: World
) -> None:
    async def looked_at(deps: Deps) -> bool:
        before = (await report_payouts(deps, TODAY, TODAY))[0]["checked_at"]
        await reconcile_recent(deps)
        return bool((await report_payouts(deps, TODAY, TODAY))[0]["checked_at"] > before)

    told(world)
    await reconcile_payouts(settled, TODAY)
    minute = timedelta(minutes=1)
    moments = [NOON + timedelta(days=5), NOON + timedelta(days=5) + minute, NOON + timedelta(days=6)]
    found = [await looked_at(replace(settled, clock=FixedClock(at))) for at in moments]
    assert found == [True, False, True]

    late = Statement(
        "PLATFORM", 333, "EUR", TODAY + timedelta(days=6), 0, 2414, (StatementEntry(2414, BATCH),)
    )
    at = NOON + timedelta(days=6) + minute
    async with settled.engine.begin() as conn:
        await payout_store.keep_statement(
            conn,
            payout_store.StatementRow(
                "EUR", late.booked_on, "f" * 64, camt053.generate(late), 1, None, None, at
            ),
        )
    assert await looked_at(replace(settled, clock=FixedClock(at + minute)))
    [payout] = await report_payouts(settled, TODAY, TODAY)
    assert (payout["state"], payout["arrived_on"]) == ("received", late.booked_on)


async def test_a_statement_that_was_taken_stands_when_the_bank_is_silent_or_sends_a_spoilt_one(
    settled: Deps, world: World
) -> None:
    told(world, 2414)
    assert await state_of(settled) == [(PayoutState.RECEIVED, 2414)]
    told(world, 2414, closing_minor=9)
    assert await state_of(later(settled, 5)) == [(PayoutState.RECEIVED, 2414)]
    world.statements.clear()
    assert await state_of(later(settled, 5)) == [(PayoutState.RECEIVED, 2414)]
    assert "payout_not_received" not in await open_classes(settled)


async def test_what_no_batch_expects_is_a_break_until_the_statement_lacks_it(
    settled: Deps, world: World
) -> None:
    late = f"card_sim-{TODAY - timedelta(days=3):%Y%m%d}-EUR"
    entries = (StatementEntry(2414, BATCH), StatementEntry(700, late), StatementEntry(-150_000, "RENT"))
    told(world, entries=entries, closing_minor=2414 + 700 - 150_000)
    assert await state_of(settled) == [(PayoutState.RECEIVED, 2414)]
    found = await list_breaks(settled, BreakFilter(break_class="unexpected_on_statement"))
    assert sorted(
        (one["channel"], one["channel_reference"], one["difference_minor"], one["takes_four_eyes"])
        for one in found
    ) == [("bank", "RENT", {"EUR": -150_000}, True), ("card_sim", late, {"EUR": 700}, False)]
    await reconcile_day(settled, ReconcileDay("card_sim", TODAY))
    assert "unexpected_on_statement" in await open_classes(settled)
    told(world, 2414)
    await reconcile_payouts(settled, TODAY)
    assert "unexpected_on_statement" not in await open_classes(settled)


async def test_a_late_payout_closes_its_break_with_a_link_and_is_no_second_one(
    settled: Deps, world: World
) -> None:
    """Not on its own statement, but on the one two days later, under the name of its batch."""
    told(world, entries=(StatementEntry(-5, "RENT"),), closing_minor=-5)
    assert await state_of(settled) == [(PayoutState.MISSING, None)]
    assert "payout_not_received" in await open_classes(settled)
    later_day = NEXT + timedelta(days=2)
    late = Statement("PLATFORM", 330, "EUR", later_day, 0, 2414, (StatementEntry(2414, BATCH),))
    world.statements["EUR", later_day.isoformat(), "camt053"] = camt053.generate(late)

    await reconcile_payouts(later(settled, 4), later_day - timedelta(days=1))

    assert "payout_not_received" not in await open_classes(settled)
    unexpected = await list_breaks(settled, BreakFilter(break_class="unexpected_on_statement"))
    assert [one["channel_reference"] for one in unexpected] == ["RENT"]
    [payout] = await report_payouts(settled, TODAY, TODAY)
    assert (payout["state"], payout["received_minor"], payout["arrived_on"]) == ("received", 2414, later_day)
    [act] = await rows(settled.engine, "break_act")
    assert (act["act"], act["actor"], act["details"]["booked_on"], act["details"]["late"]) == (
        "closed", "platform", later_day.isoformat(), True,
    )  # fmt: skip
    [statement] = [
        row for row in await rows(settled.engine, "bank_statement") if row["booked_on"] == later_day
    ]
    assert act["details"]["statement_sha256"] == statement["sha256"]
    await reconcile_payouts(later(settled, 4), later_day - timedelta(days=1))  # and it stays so
    assert len(await rows(settled.engine, "break_act")) == 1


@pytest.mark.parametrize(("days", "is_late"), [(31, True), (32, True), (33, False)])
async def test_a_payout_is_late_for_a_month_and_then_unexpected_but_never_gone(
    settled: Deps, world: World, days: int, *, is_late: bool
) -> None:
    """`days` after its own day; the statement on which it should have been is of the day after that."""
    told(world)
    await reconcile_payouts(settled, TODAY)
    booked_on = TODAY + timedelta(days=days)
    late = Statement("PLATFORM", 330, "EUR", booked_on, 0, 2414, (StatementEntry(2414, BATCH),))
    world.statements["EUR", booked_on.isoformat(), "camt053"] = camt053.generate(late)
    async with settled.engine.begin() as conn:  # the currency is known from a payout of these weeks
        [kept] = await payout_store.list_payouts(conn, TODAY, TODAY)
        day = booked_on - timedelta(days=1)
        await payout_store.save(
            conn, [PayoutRow(**kept | {"batch": f"card_sim-{day:%Y%m%d}-EUR", "settled_on": day})]
        )

    await reconcile_payouts(later(settled, days), day)

    [payout] = await report_payouts(settled, TODAY, TODAY)
    assert payout["state"] == ("received" if is_late else "missing")
    assert ("unexpected_on_statement" in await open_classes(settled)) is not is_late


async def test_what_comes_twice_is_too_much_of_its_own_batch(settled: Deps, world: World) -> None:
    told(world, 2414)
    assert await state_of(settled) == [(PayoutState.RECEIVED, 2414)]
    again = Statement(
        "PLATFORM", 329, "EUR", NEXT + timedelta(days=1), 0, 2414, (StatementEntry(2414, BATCH),)
    )
    world.statements["EUR", again.booked_on.isoformat(), "camt053"] = camt053.generate(again)
    await reconcile_payouts(later(settled, 2), NEXT)
    [payout] = await report_payouts(settled, TODAY, TODAY)
    assert (payout["state"], payout["received_minor"]) == ("differs", 4828)
    assert "payout_amount_differs" in await open_classes(settled)


async def test_a_day_without_batches_is_looked_at_in_the_currencies_of_the_weeks_before(
    settled: Deps, world: World
) -> None:
    await reconcile_payouts(settled, TODAY)
    day, booked_on = NEXT, NEXT + timedelta(days=1)
    told(world, 500, batch=f"card_sim-{day:%Y%m%d}-EUR", booked_on=booked_on)
    world.statements["EUR", booked_on.isoformat(), "camt053"] = world.statements.pop(
        ("EUR", NEXT.isoformat(), "camt053")
    )
    assert await reconcile_payouts(later(settled, 2), day) == []
    assert "unexpected_on_statement" in await open_classes(settled)


async def test_a_statement_of_another_account_is_refused_where_ours_is_set(
    settled: Deps, world: World, logged: list[Any]
) -> None:
    told(world, 2414, account="ANOTHER")
    assert await state_of(settled) == [(PayoutState.RECEIVED, 2414)]
    strict = replace(settled, settings=settled.settings.model_copy(update={"statement_account": "PLATFORM"}))
    assert await state_of(strict) == [(PayoutState.EXPECTED, None)]
    [kept] = await rows(settled.engine, "bank_statement")
    assert (kept["fault"], kept["entry_count"]) == ("other_account", None)
    assert "statement refused" in [line["event"] for line in logged]
    told(world, 2414)
    assert await state_of(strict) == [(PayoutState.RECEIVED, 2414)]


async def test_a_bank_that_cannot_be_asked_is_in_the_log_and_one_that_has_none_is_not(
    settled: Deps, world: World, logged: list[Any]
) -> None:
    await reconcile_payouts(settled, TODAY)
    assert "statement not available" not in [line["event"] for line in logged]
    world.is_down.add("bank")
    await reconcile_payouts(settled, TODAY)
    assert "statement not available" in [line["event"] for line in logged]
