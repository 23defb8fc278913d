"""Chargebacks of a real gateway and its channel's real file: a lost dispute pairs with its line, a won one has none,
and what is planted is found. Only the events travel by hand, from the gateway's outbox into the facts.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pipeline_rig import World, deps_for, ingest, rows, settings_for
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.domain.settlement import SettlementFile, SettlementLine, SettlementType, parse
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.reconcile_day import ReconcileDay, reconcile_day
from data_pipeline.store.runs import RunRow
from platform_cli.embedded.testing import FreshDatabase, TestDatabase

sys.path.insert(0, str(Path(__file__).parents[3] / "payment-gateway/tests/simulators"))
sys.path.insert(0, str(Path(__file__).parents[3] / "payment-gateway/tests/api"))

from gateway_rig import RunningGateway, run_gateway
from money_rig import disputed, operate, ready, settled, until
from simulator_rig import TOKEN

from payment_gateway.operations.book_channel_costs import book_channel_costs
from payment_gateway.operations.follow_disputes import send_dispute_answers
from payment_gateway.store.tables import outbox
from platform_kit.outbox import Relay, events_after
from platform_kit.redis import create_redis

DAYS_LATER = timedelta(days=3)  # the file is made when nothing can be merely late any more


@dataclass
class Day:
    """What happened today at the card channel, and both sides of it."""

    gateway: RunningGateway
    deps: Deps
    world: World
    day: date
    lines: tuple[SettlementLine, ...] = ()

    async def close(self) -> None:
        """Bring the gateway's events into the facts, and fetch the channel's file."""
        async with create_redis("redis://127.0.0.1:1/0") as nobody:  # numbered, not published
            await Relay(self.gateway.deps.engine, outbox, nobody, "none").assign()
        async with self.gateway.deps.engine.connect() as connection:
            page = await events_after(connection, outbox, 0, 1000)
        await ingest(self.deps.engine, page.events)
        self.world.heads["gateway"] = page.head
        url = f"{self.gateway.simulators.url}/settlement?channel=card_sim&date={self.day}"
        async with self.gateway.session.get(url, headers={"Authorization": f"Bearer {TOKEN}"}) as response:
            read = parse(await response.read(), channel="card_sim", day=self.day)
        assert isinstance(read, SettlementFile)
        self.lines = read.lines

    async def reconciled(self, lines: Sequence[SettlementLine]) -> RunRow:
        self.world.settle(lines, self.day)
        return await reconcile_day(self.deps, ReconcileDay("card_sim", self.day))

    async def breaks(self) -> list[tuple[str, str | None]]:
        """Class and payment of those that are open."""
        found = await rows(self.deps.engine, "reconciliation_break")
        return [(one["break_class"], one["payment_id"]) for one in found if one["closed_at"] is None]

    async def paid_and_disputed(self, amount_minor: int) -> tuple[str, dict[str, Any], str]:
        """The payment, its open dispute, and the channel's name for it."""
        payment_id = await self.gateway.captured(amount_minor)
        key = await ready(self.gateway, payment_id)
        opened = await operate(self.gateway, channel_key=key, reason="fraudulent")
        return payment_id, await disputed(self.gateway, payment_id), str(opened["dispute"])

    async def lose(self, amount_minor: int) -> str:
        payment_id, dispute, name = await self.paid_and_disputed(amount_minor)
        await operate(self.gateway, dispute=name, outcome="lost")
        await until(self.gateway, dispute["id"], "lost")
        return payment_id

    async def win(self, amount_minor: int) -> str:
        payment_id, dispute, name = await self.paid_and_disputed(amount_minor)
        await operate(self.gateway, dispute=name, outcome="won")
        await until(self.gateway, dispute["id"], "won")
        return payment_id

    async def give_in(self, amount_minor: int) -> str:
        """Booked before the channel has heard of it."""
        payment_id, dispute, _ = await self.paid_and_disputed(amount_minor)
        assert (await self.gateway.post(f"/v1/disputes/{dispute['id']}/accept")).status == 200
        await settled(
            self.gateway, "UPDATE payments.dispute SET send_at = now() WHERE send_at IS NOT NULL", admin=True
        )
        assert await send_dispute_answers(self.gateway.deps) == 1
        return payment_id


@pytest.fixture
async def today(
    fresh_database: FreshDatabase, tmp_path: Path, database: TestDatabase, engine: AsyncEngine, world: World
) -> AsyncIterator[Day]:
    day = datetime.now(UTC).date()
    async with (
        run_gateway(await fresh_database("payments"), tmp_path / "journals") as gateway,
        deps_for(settings_for(database.app_url, world.url), engine, datetime.now(UTC) + DAYS_LATER) as deps,
    ):
        yield Day(gateway, deps, world, day)


async def test_lost_disputes_pair_with_their_chargebacks_and_won_ones_need_none(today: Day) -> None:
    await today.lose(1_000)
    await today.give_in(2_000)
    await today.win(3_000)
    await book_channel_costs(today.gateway.deps)  # the platform's own bookings are no line of a file
    await today.close()
    taken = sorted(line.amount_minor for line in today.lines if line.type is SettlementType.REFUND)
    assert taken == [1_000, 2_000]

    run = await today.reconciled(today.lines)

    assert (run.state, run.matched_count, run.break_count) == ("balanced", 5, 0)
    assert await today.breaks() == []


async def test_a_planted_break_of_a_dispute_is_found_for_what_it_is(today: Day) -> None:
    """The file loses a chargeback, has another one's amount wrong, and takes back what was won."""
    lost, given_in, won = await today.lose(1_000), await today.give_in(2_000), await today.win(3_000)
    await today.close()
    chargebacks = {line.amount_minor: line for line in today.lines if line.type is SettlementType.REFUND}
    kept = [line for line in today.lines if line not in chargebacks.values()]
    (charge,) = (line for line in kept if line.amount_minor == 3_000)
    unjust = replace(
        charge, type=SettlementType.REFUND, channel_key="dp_x.lost", channel_reference="dp_x_lost"
    )

    run = await today.reconciled([*kept, replace(chargebacks[2_000], amount_minor=2_001), unjust])

    assert (run.state, run.matched_count) == ("broken", 3)
    assert sorted(await today.breaks(), key=str) == sorted(
        [("missing_in_channel_file", lost), ("amount_differs", given_in), ("missing_in_ledger", None)],
        key=str,
    )
    assert won not in [payment for _, payment in await today.breaks()]
    assert (await today.reconciled(today.lines)).state == "balanced", "and closes when the file is put right"
    assert await today.breaks() == []
