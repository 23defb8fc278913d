"""Lists by keyset: who follows the cursor sees what was there exactly once, in order, whatever is added meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from payment_gateway.settings import Settings
from payment_gateway.store.pages import Page, PageQuery, Window
from payment_gateway.store.tables import payout
from platform_cli.embedded.testing import DatabaseFactory
from platform_kit.db import create_engine

INSERT = text(
    "INSERT INTO payments.payout (id, merchant_id, amount_minor, currency, destination, status, created_at, updated_at,"
    " tries) VALUES (:id, :merchant_id, 1, 'EUR', 'ba_pays', 'pending', to_timestamp(:second), now(), 0)"
)
# By id, as most lists; and by time, where ids tell something else (the tenth of a second is shared by several).
QUERIES = {by_time: PageQuery(payout, "id, created_at", {}, by_time=by_time) for by_time in (False, True)}


@pytest.fixture(scope="module")
def stage(database_factory: DatabaseFactory) -> Iterator[tuple[asyncio.Runner, AsyncEngine]]:
    with asyncio.Runner() as runner:

        async def start() -> AsyncEngine:
            database = await database_factory.create("payments")
            return create_engine(Settings(database_url=database.app_url))

        engine = runner.run(start())
        yield runner, engine
        runner.run(engine.dispose())


class Payouts:
    """Payouts of one new merchant; later ones have higher ids, and times that are not lower."""

    def __init__(self, merchant_id: str, by_time: bool) -> None:
        self.merchant_id, self.query, self.count = merchant_id, QUERIES[by_time], 0

    async def add(self, conn: AsyncConnection) -> None:
        self.count += 1
        values = {"id": f"{self.merchant_id}_{self.count:04}", "merchant_id": self.merchant_id}
        await conn.execute(INSERT, values | {"second": self.count // 3})

    async def page(self, conn: AsyncConnection, window: Window) -> Page[str]:
        rows, has_more = await self.query.rows(conn, self.merchant_id, window)
        return Page([row.id for row in rows], has_more)


@settings(
    max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(before=st.integers(0, 9), added=st.lists(st.integers(0, 3), max_size=8), limit=st.integers(1, 4),
       by_time=st.booleans(), backwards=st.booleans())  # fmt: skip
def test_a_reader_sees_what_was_there_exactly_once_whatever_is_added(
    stage: tuple[asyncio.Runner, AsyncEngine],
    before: int,
    added: list[int],
    limit: int,
    by_time: bool,
    backwards: bool,
) -> None:
    runner, engine = stage

    async def read() -> None:
        async with engine.connect() as conn:  # rolled back: the next example starts with nothing
            listed = Payouts("mer_pages", by_time)
            await conn.execute(
                text("INSERT INTO payments.merchant (id, name, country) VALUES ('mer_pages', 'Shop', 'DE')")
            )
            for _ in range(before):
                await listed.add(conn)
            there = [f"mer_pages_{number:04}" for number in range(1, before + 1)]
            if backwards:  # from the oldest on, as Stripe's `ending_before`: what is added is seen as well
                await listed.add(conn)
                await read_upwards(conn, listed, there[0] if there else "mer_pages_0001", limit, added)
            else:
                await read_downwards(conn, listed, there[::-1], limit, added)

    runner.run(read())


async def read_downwards(
    conn: AsyncConnection, listed: Payouts, there: list[str], limit: int, added: list[int]
) -> None:
    seen: list[str] = []
    page = await listed.page(conn, Window(limit))
    for more in [*added, *([0] * 20)]:
        seen += page.items
        assert len(page.items) <= limit
        if not page.has_more:
            break
        for _ in range(more):
            await listed.add(conn)
        page = await listed.page(conn, Window(limit, before=page.items[-1]))
    assert seen == there


async def read_upwards(
    conn: AsyncConnection, listed: Payouts, first: str, limit: int, added: list[int]
) -> None:
    seen = [first]
    for more in [*added, *([0] * 50)]:
        for _ in range(more):
            await listed.add(conn)
        page = await listed.page(conn, Window(limit, after=seen[-1]))
        seen += reversed(page.items)  # a page is newest first, and holds those next to the cursor
    assert seen == [f"mer_pages_{number:04}" for number in range(1, listed.count + 1)]
