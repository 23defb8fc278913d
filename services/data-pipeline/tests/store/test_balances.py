"""The roll-up of accounts: equal to the transfers at every moment, whatever came in whichever order."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pipeline_rig import NOON, a_journal, a_sale, an_event, ingest, rows, settings_for
from seeded_day import simulate
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.domain.balances import Moved, trial_balances, turnover_of
from data_pipeline.operations.complete_rollups import complete_rollups
from data_pipeline.operations.deps import Deps
from data_pipeline.store import balances
from data_pipeline.store.balances import Key
from platform_cli.embedded.testing import TestDatabase
from platform_kit.db import create_engine

CARD, MERCHANT = "channel:card_sim:receivable", "merchant:mer_00000000000000000000000001:available"
HOLD = [("pending", 900), ("post", 400), ("release", 500)]
MOMENTS = [
    timedelta(0),
    timedelta(minutes=-7),
    timedelta(minutes=-31),
    timedelta(hours=-30),
    timedelta(days=9),
]


def a_movement(position: int, kind: str, amount: int, at: datetime) -> Any:
    journal = a_journal(position, amount)
    journal["transfers"][0]["kind"] = kind
    return an_event(position, journal=journal, at=at)


@pytest.fixture
async def two_days(engine: AsyncEngine) -> AsyncEngine:
    """An hour of today, the same the day before yesterday, and a hold that was posted in part."""
    told = simulate(NOON, count=60).payments
    earlier = [
        replace(event, position=event.position + len(told), id=f"evt_e{event.position:025d}",
                occurred_at=event.occurred_at - timedelta(hours=47),
                data=event.data | {"journal": event.data["journal"] and event.data["journal"] | {
                    "id": event.data["journal"]["id"] + "e"}})
        for event in told if event.position
    ]  # fmt: skip
    holds = [
        a_movement(900 + number, kind, amount, NOON - timedelta(minutes=40 - number))
        for number, (kind, amount) in enumerate(HOLD)
    ]
    await ingest(engine, [*told, *earlier])
    await ingest(engine, holds)
    return engine


async def by_hand(engine: AsyncEngine, at: datetime) -> dict[tuple[str, str], int]:
    """Credits less debits of what happened before `at`, by another way than the roll-up's."""
    found: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in await rows(engine, "fact_transfer"):
        if row["occurred_at"] < at:
            amount = row["amount_minor"] if row["kind"] in ("posted", "post") else 0
            found[row["debit"], row["currency"]] -= amount
            found[row["credit"], row["currency"]] += amount
    return dict(found)


@pytest.mark.parametrize("ago", MOMENTS)
async def test_a_balance_as_of_a_moment_is_the_sum_of_what_happened_before_it(
    two_days: AsyncEngine, ago: timedelta
) -> None:
    at = NOON + ago
    async with two_days.connect() as conn:
        for (account, currency), expected in (await by_hand(two_days, at)).items():
            found = await balances.balance(conn, account, currency, Key(at))
            assert found is not None
            assert found["credits_minor"] - found["debits_minor"] == expected, (account, currency)


@pytest.mark.parametrize("ago", [*MOMENTS, None])
async def test_the_trial_balance_sums_to_zero_and_to_the_balances(
    two_days: AsyncEngine, ago: timedelta | None
) -> None:
    async with two_days.connect() as conn:
        found = trial_balances(await balances.trial(conn, None if ago is None else NOON + ago))
    hand = await by_hand(two_days, NOON + (timedelta(days=9) if ago is None else ago))
    assert {one.currency for one in found} == {currency for _, currency in hand}
    for one in found:
        assert one.difference_minor == 0
        of_currency = [amount for (_, currency), amount in hand.items() if currency == one.currency]
        assert one.credit_minor == sum(amount for amount in of_currency if amount > 0) > 0
        assert one.account_count == len(of_currency)


async def test_what_is_held_is_no_money_and_falls_when_it_is_posted_or_given_back(
    engine: AsyncEngine,
) -> None:
    held = []
    for number, (kind, amount) in enumerate(HOLD):
        await ingest(engine, [a_movement(number + 1, kind, amount, NOON)])
        async with engine.connect() as conn:
            found = await balances.balance(conn, CARD, "EUR")
        assert found is not None
        held.append((found["debits_minor"], found["debits_held_minor"], found["credits_held_minor"]))
    assert held == [(0, 900, 0), (400, 500, 0), (400, 0, 0)]


async def test_a_journal_that_two_events_tell_counts_once(engine: AsyncEngine) -> None:
    sale = a_sale(1)
    again = an_event(2, "payment.updated.v1", journal=sale.data["journal"], payment=sale.data["payment"])
    await ingest(engine, [sale, again])
    await ingest(engine, [an_event(3, journal=sale.data["journal"], payment=sale.data["payment"])])
    async with engine.connect() as conn:
        found = await balances.balance(conn, MERCHANT, "EUR")
    assert found is not None
    assert (found["credits_minor"], found["entry_count"]) == (1250, 1)


@pytest.mark.parametrize("left_out", ["currency = 'EUR'", "period = 'month' AND currency = 'EUR'"])
async def test_what_an_older_release_left_out_is_made_from_the_transfers(
    two_days: AsyncEngine, database: TestDatabase, deps: Deps, left_out: str
) -> None:
    order = "account, currency, period, bucket_at"
    before = await rows(two_days, "rollup_account", order=order)
    admin = create_engine(settings_for(database.admin_url))
    async with admin.begin() as conn:
        await conn.execute(text(f"DELETE FROM pipeline.rollup_account WHERE {left_out}"))
        # It stored an event as it knew how: of what is new since, it counts nothing.
        await conn.execute(text("UPDATE pipeline.event_count SET rolled_up = stored - 1"))
    await admin.dispose()
    await complete_rollups(deps)
    assert await rows(two_days, "rollup_account", order=order) == before
    await ingest(two_days, [a_sale(2001)])
    [counted] = await rows(two_days, "event_count")
    assert counted["rolled_up"] == counted["stored"]


async def test_who_takes_over_from_the_same_release_adds_nothing_up(
    two_days: AsyncEngine, deps: Deps
) -> None:
    """Else a restart would count every transfer that there ever was: seconds without a payment, growing."""
    async with two_days.begin() as conn:
        await conn.execute(text("DELETE FROM pipeline.rollup WHERE grain = 'hour'"))
    await complete_rollups(deps)
    assert await rows(two_days, "rollup WHERE grain = 'hour'") == []


async def test_a_month_that_is_not_the_sum_of_its_days_is_told(two_days: AsyncEngine) -> None:
    async def found(*, is_whole_due: bool) -> list[dict[str, Any]]:
        async with two_days.connect() as conn:
            return await balances.differences(conn, NOON, NOON.replace(hour=0), is_whole_due=is_whole_due)

    assert await found(is_whole_due=True) == []
    async with two_days.begin() as conn:
        await conn.execute(
            text(
                "UPDATE pipeline.rollup_account SET debits_minor = debits_minor + 1"
                f" WHERE period = 'month' AND account = '{CARD}' AND currency = 'EUR'"
            )
        )
    for is_whole_due in (False, True):
        assert await found(is_whole_due=is_whole_due) == [{"account": CARD, "currency": "EUR"}]


async def test_entries_come_page_by_page_without_a_gap(two_days: AsyncEngine) -> None:
    seen: list[tuple[Any, ...]] = []
    before = Key(NOON + timedelta(days=1))
    async with two_days.connect() as conn:
        while page := await balances.entries(conn, MERCHANT, "EUR", before, 7):
            seen += [(row["occurred_at"], row["position"], row["line"]) for row in page]
            before = Key(*seen[-1])
    expected = [
        (row["occurred_at"], row["position"], row["line"])
        for row in await rows(two_days, "fact_transfer")
        if MERCHANT in (row["debit"], row["credit"]) and row["currency"] == "EUR"
    ]
    assert seen == sorted(expected, reverse=True)
    assert len(seen) > 20


async def test_accounts_are_grouped_by_whose_they_are_and_what_for(engine: AsyncEngine) -> None:
    classes = {
        "platform:fees": "platform:fees",
        MERCHANT: "merchant:available",
        CARD: "channel:receivable",
        "ledger:mer_1:savings": "ledger",
        "ledger": "ledger",
        "odd": "odd:odd",
    }
    transfers = [Moved(name, "platform:bank", 5, "EUR", "posted", NOON) for name in classes]
    async with engine.begin() as conn:
        await balances.add(conn, turnover_of(transfers))
        found = {row["account_class"] for row in await balances.trial(conn, None)}
        assert found == {*classes.values(), "platform:bank"}
        for name, account_class in classes.items():
            [row] = await balances.accounts(
                conn, wanted=name, account_class=account_class, currency="EUR", after=None, limit=1
            )
            assert row["account"] in (name, "ledger:mer_1:savings")


async def test_new_pages_of_entries_are_summarized_without_a_vacuum(engine: AsyncEngine) -> None:
    sql = "SELECT indexname FROM pg_indexes WHERE tablename = 'fact_transfer' AND indexdef LIKE '%autosummarize%'"
    async with engine.connect() as conn:
        found = set((await conn.execute(text(sql))).scalars())
    assert found == {"fact_transfer_time_idx", "fact_transfer_position_idx"}
