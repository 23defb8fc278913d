"""The invariants: each holds on a day like any other, and each is seen when it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_rig import NOON, World, a_sale, ingest, rows, settings_for
from prometheus_client import REGISTRY
from seeded_day import simulate
from sqlalchemy import text

from data_pipeline.domain.invariants import Invariant, compare_totals
from data_pipeline.operations import verify_invariants as job
from data_pipeline.operations.check_settlements import check_settlements
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_invariants import report_history, report_invariants
from data_pipeline.operations.verify_invariants import verify_invariants
from platform_cli.embedded.testing import TestDatabase
from platform_kit.clock import FixedClock
from platform_kit.db import create_engine

L = Invariant.LEDGER_EQUALS_WAREHOUSE


async def broken(deps: Deps) -> set[Invariant]:
    await check_settlements(deps, budget_s=600)
    return {check.invariant for check in await verify_invariants(deps) if check.is_kept is False}


@pytest.fixture
async def a_day(deps: Deps, world: World) -> Deps:
    """An hour of payments, told to gateway and warehouse alike."""
    world.events["gateway"] = simulate(NOON, count=40).payments
    await ingest(deps.engine, world.events["gateway"])
    return deps


async def test_all_hold_on_a_day_like_any_other(a_day: Deps) -> None:
    assert {check.is_kept for check in await verify_invariants(a_day)} == {True}
    report = await report_invariants(a_day)
    assert report["kept"]
    assert {row["name"] for row in report["data"]} == set(Invariant)


# One fault each, made by hand where no program of ours could make it.
FAULTS = {
    L: "DELETE FROM pipeline.fact_transfer WHERE ctid = (SELECT min(ctid) FROM pipeline.fact_transfer)",
    Invariant.BALANCES_EQUAL_LEDGER: "UPDATE pipeline.rollup_account SET credits_held_minor = credits_held_minor + 1"
    " WHERE period = 'all' AND account LIKE 'merchant:%' AND currency = 'EUR'",
    Invariant.BALANCES_EQUAL_TRANSFERS: "UPDATE pipeline.rollup_account SET debits_minor = debits_minor + 1"
    " WHERE period = 'hour'",
    Invariant.POSITIONS_WITHOUT_GAP: "DELETE FROM pipeline.stored_event WHERE position = 5",
    Invariant.JOURNALS_ARE_WHOLE: "UPDATE pipeline.fact_transfer SET line = line + 1 WHERE position ="
    " (SELECT max(position) FROM pipeline.fact_transfer)",
    Invariant.ROLLUP_EQUALS_DETAIL: "UPDATE pipeline.rollup SET amount_minor = amount_minor + 1",
    Invariant.ROLLUP_GRAINS_AGREE: "UPDATE pipeline.rollup SET amount_minor = amount_minor + 1 WHERE grain = 'day'",
    Invariant.REFUNDED_WITHIN_CAPTURED: "UPDATE pipeline.fact_payment SET refunded_minor = captured_minor + 1"
    " WHERE created_at < '2026-11-23T11:00:00Z'",
    Invariant.SETTLEMENTS_NET: "UPDATE pipeline.fact_transfer SET merchant_id = 'mer_2' WHERE position ="
    " (SELECT max(position) FROM pipeline.fact_transfer)",
}


@pytest.mark.parametrize("invariant", Invariant)
async def test_each_is_seen_when_it_does_not_hold(
    a_day: Deps, database: TestDatabase, invariant: Invariant
) -> None:
    if invariant is Invariant.REFUNDED_WITHIN_CAPTURED:
        await ingest(a_day.engine, [replace(a_sale(500, refunded_minor=1251), occurred_at=NOON)])
        assert invariant in await broken(a_day)
        return
    admin = create_engine(settings_for(database.admin_url))
    async with admin.begin() as conn:
        await conn.execute(text(FAULTS[invariant]))
    await admin.dispose()
    assert invariant in await broken(a_day)
    labels = {"invariant": invariant.value, "severity": "critical"}
    assert REGISTRY.get_sample_value("pipeline_invariant_broken", labels) == 1
    assert not (await report_invariants(a_day))["kept"]


async def test_a_cent_of_difference_is_seen(a_day: Deps, world: World) -> None:
    transfer = next(event.data["journal"] for event in world.events["gateway"] if event.data["journal"])
    transfer["transfers"][0]["amount_minor"] += 1
    [check] = [check for check in await verify_invariants(a_day) if check.invariant is L]
    [currency] = check.figures["differing"]
    sides = check.figures["currencies"][currency]
    assert sides["ledger_minor"] - sides["warehouse_minor"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        "UPDATE pipeline.rollup_account SET credits_minor = credits_minor + 1 WHERE period = 'day'",
        "UPDATE pipeline.rollup_account SET entry_count = entry_count + 1 WHERE period = 'all'",
        "DELETE FROM pipeline.rollup_account WHERE period = 'hour' AND account LIKE 'merchant:%'",
        "UPDATE pipeline.fact_transfer SET amount_minor = amount_minor + 1 WHERE debit LIKE 'channel:wallet%'",
    ],
)
async def test_a_roll_up_of_accounts_that_is_not_the_sum_of_its_parts_is_seen(
    a_day: Deps, database: TestDatabase, fault: str
) -> None:
    admin = create_engine(settings_for(database.admin_url))
    async with admin.begin() as conn:
        await conn.execute(text(fault))
    await admin.dispose()
    assert Invariant.BALANCES_EQUAL_TRANSFERS in await broken(a_day)


async def test_the_whole_of_accounts_is_added_up_by_the_first_look_of_an_hour(
    a_day: Deps, database: TestDatabase
) -> None:
    """It reads every day of every account; hours and days are looked at each time."""
    assert Invariant.BALANCES_EQUAL_TRANSFERS not in await broken(a_day)
    admin = create_engine(settings_for(database.admin_url))
    async with admin.begin() as conn:
        await conn.execute(
            text("UPDATE pipeline.rollup_account SET credits_minor = credits_minor + 1 WHERE period = 'all'")
        )
    await admin.dispose()
    assert Invariant.BALANCES_EQUAL_TRANSFERS not in await broken(a_day)
    next_hour = replace(a_day, clock=FixedClock(NOON + timedelta(hours=1)))
    for _ in range(2):  # and it stays broken
        assert Invariant.BALANCES_EQUAL_TRANSFERS in await broken(next_hour)


async def test_a_round_of_looks_is_judged_and_not_each_look(
    a_day: Deps, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two accounts an answer, one answer a look: what one look finds the next does not overwrite."""
    names = sorted({(row["account"], row["currency"]) for row in await rows(a_day.engine, "rollup_account")})
    monkeypatch.setattr(job, "ANSWERS_MAX", 1)
    world.accounts_max = 2
    looks = (len(names) + 1) // 2
    assert looks > 2
    assert [await look(a_day) for _ in range(looks)] == [None] * (looks - 1) + [True]

    [line, *_] = [
        line
        for event in world.events["gateway"]
        for line in (event.data["journal"] or {"transfers": []})["transfers"]
        if names[0] in ((line["debit"], line["currency"]), (line["credit"], line["currency"]))
    ]
    line["amount_minor"] += 1  # of the first account: all looks after the first see none of it there
    assert [await look(a_day) for _ in range(looks)] == [False] * looks
    figures = (await report_history(a_day, Invariant.BALANCES_EQUAL_LEDGER, 1))["data"][0]["figures"]
    assert (figures["accounts"], figures["differing_count"]) == (len(names), 2)
    assert ":".join(names[0]) in figures["differing"]

    line["amount_minor"] -= 1
    assert await look(a_day) is False  # the first account is well now; the others wait for their look
    world.is_down.add("gateway")
    assert await look(a_day) is None
    world.is_down.clear()
    assert [await look(a_day) for _ in range(looks)] == [False] * (looks - 2) + [True] * 2


async def look(deps: Deps) -> bool | None:
    checks = await verify_invariants(deps)
    return next(check.is_kept for check in checks if check.invariant is Invariant.BALANCES_EQUAL_LEDGER)


async def test_balances_are_compared_as_of_the_position_that_the_gateway_names(
    a_day: Deps, world: World
) -> None:
    """The consumer reads on meanwhile: what it has read beyond that position is taken off again."""
    await ingest(a_day.engine, [a_sale(900)])
    assert await look(a_day) is True


async def test_what_is_added_since_the_last_look_is_added_up_and_a_late_one_below_it_is_no_difference(
    deps: Deps, world: World
) -> None:
    """A replay from quarantine adds below the position of the last look: the short cut would miss it for an hour."""
    world.events["gateway"] = [a_sale(1), a_sale(3)]
    await ingest(deps.engine, world.events["gateway"])
    later = replace(deps, clock=FixedClock(NOON + timedelta(minutes=1)))
    assert L not in await broken(later)
    world.events["gateway"].insert(1, a_sale(2))
    assert L in await broken(later)
    await ingest(deps.engine, [a_sale(2)])
    world.events["gateway"].append(a_sale(4))
    await ingest(deps.engine, [a_sale(4)])
    assert L not in await broken(later)


async def test_without_the_gateway_nothing_is_judged_and_that_is_said(a_day: Deps, world: World) -> None:
    world.is_down.add("gateway")
    checks = {check.invariant: check for check in await verify_invariants(a_day)}
    assert checks[L].is_kept is None
    assert "does not tell its totals" in checks[L].figures["why"]
    assert "does not tell its balances" in checks[Invariant.BALANCES_EQUAL_LEDGER].figures["why"]
    assert not (await report_invariants(a_day))["kept"]


async def test_a_warehouse_that_is_behind_is_not_judged(
    a_day: Deps, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "CATCH_UP_S", 0.0)
    world.events["gateway"].append(a_sale(900))
    [check] = [check for check in await verify_invariants(a_day) if check.invariant is L]
    assert check.is_kept is None
    assert "of 900" in check.figures["why"]


async def test_what_held_is_forgotten_and_what_did_not_is_kept(a_day: Deps, world: World) -> None:
    await verify_invariants(a_day)
    world.events["gateway"].insert(0, a_sale(1, 999))
    await verify_invariants(a_day)
    await verify_invariants(replace(a_day, clock=FixedClock(NOON + timedelta(days=15))))
    history = (await report_history(a_day, L, 10))["data"]
    assert [row["checked_at"] for row in history] == [NOON + timedelta(days=15), NOON]
    assert (
        len(await rows(a_day.engine, "invariant_check")) == len(Invariant) + 2
    )  # by currency and by account


async def test_a_transfer_that_is_lost_later_is_seen_by_the_first_look_of_the_next_hour(
    a_day: Deps, database: TestDatabase
) -> None:
    assert L not in await broken(a_day)
    admin = create_engine(settings_for(database.admin_url))
    async with admin.begin() as conn:
        await conn.execute(text(FAULTS[L]))
    await admin.dispose()
    assert L in await broken(replace(a_day, clock=FixedClock(NOON + timedelta(hours=1))))


amounts = st.dictionaries(st.sampled_from(["EUR", "JPY", "KWD"]), st.integers(0, 10**12))


@given(amounts, amounts)
def test_totals_agree_when_and_only_when_every_currency_does(
    ledger: dict[str, int], warehouse: dict[str, int]
) -> None:
    check = compare_totals(ledger, warehouse, 1)
    differing = [c for c in ("EUR", "JPY", "KWD") if ledger.get(c, 0) != warehouse.get(c, 0)]
    assert check.figures["differing"] == differing
    assert check.is_kept is (not differing)
