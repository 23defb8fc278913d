"""A list between two times: of a day long ago, what was made then is read, and not all that came after it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from payment_gateway.operations.record_return import returned_refund_id
from payment_gateway.settings import Settings
from payment_gateway.store import events, movements, payments, refunds
from payment_gateway.store.events import EventFilter
from payment_gateway.store.pages import PageQuery, Window
from payment_gateway.store.tenancy import BECOME
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.db import create_engine
from platform_kit.ids import earliest_id

MERCHANT: Final = "mer_1"
FIRST_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)
DAYS, A_DAY, MERCHANTS = 20, 30, 20
TIMES: Final = [FIRST_DAY + timedelta(days=n / A_DAY) for n in range(DAYS * A_DAY)]

# Positions follow commits: one of these overtook the next event, the other was overtaken by the one before it.
OUT_OF_ORDER: Final = {300: TIMES[301] + timedelta(minutes=4), 500: TIMES[499] - timedelta(minutes=4)}
EVENT_TIMES: Final = [OUT_OF_ORDER.get(n, at) for n, at in enumerate(TIMES)]

# An id is made a moment before its row, and tells milliseconds.
IDS: Final = {
    prefix: [earliest_id(prefix, at - timedelta(seconds=n % 7)) for n, at in enumerate(TIMES)]
    for prefix in ("pay", "rf", "je", "evt")
}
ROWS: Final = (
    "INSERT INTO payments.merchant (id, name, country) VALUES ('mer_1', 'Shop', 'DE')",
    """INSERT INTO payments.payment (id, merchant_id, amount_minor, currency, capture, method, status, version,
        authorised_minor, captured_minor, refunded_minor, metadata, created_at, updated_at)
    SELECT id, 'mer_1', 100, 'EUR', 'automatic', '{}', 'captured', 1, 100, 100, 0, '{}', at, at
    FROM unnest(CAST(:pay AS text[]), CAST(:times AS timestamptz[])) AS r (id, at)""",
    """INSERT INTO payments.refund (id, payment_id, merchant_id, amount_minor, currency, status, created_at)
    SELECT id, payment, 'mer_1', 1, 'EUR', 'pending', at
    FROM unnest(CAST(:rf AS text[]), CAST(:pay AS text[]), CAST(:times AS timestamptz[])) AS r (id, payment, at)""",
    """INSERT INTO payments.account (id, owner, kind, currency) OVERRIDING SYSTEM VALUE
    SELECT 10 * m + k, CASE k WHEN 3 THEN 'channel:card_' ELSE 'merchant:mer_' END || m,
        (CAST('{pending,available,receivable}' AS text[]))[k], 'EUR'
    FROM generate_series(1, :merchants) AS m, generate_series(1, 3) AS k""",
    # Those of several merchants between one another. Every third settles; nothing leaves the available balance.
    """INSERT INTO payments.transfer (id, journal_id, debit_account_id, credit_account_id, amount_minor, currency, kind,
        recorded_at, debit_version, credit_version)
    OVERRIDING SYSTEM VALUE
    SELECT 2 * (:merchants * n + m), id, 10 * m + CASE n % 3 WHEN 0 THEN 1 ELSE 3 END,
        10 * m + CASE n % 3 WHEN 0 THEN 2 ELSE 1 END, 1, 'EUR', 'posted', at, n, n
    FROM unnest(CAST(:je AS text[]), CAST(:times AS timestamptz[])) WITH ORDINALITY AS r (id, at, n),
        generate_series(1, :merchants) AS m ORDER BY 1""",
    # Numbered in the order of their commits, those of several merchants between one another.
    """INSERT INTO payments.outbox_event (id, type, aggregate_id, merchant_id, data, occurred_at, position)
    SELECT CASE m WHEN 1 THEN id ELSE 'evt_' || m || 'x' || n END, 'balance.settled.v1', 'none', 'mer_' || m,
        '{"journal": {"id": "je_00000000000000000000000000", "transfers": []}}', at, :merchants * n + m
    FROM unnest(CAST(:evt AS text[]), CAST(:event_times AS timestamptz[])) WITH ORDINALITY AS r (id, at, n),
        generate_series(1, :merchants) AS m""",
)

RETURNED: Final = text(
    "INSERT INTO payments.refund (id, payment_id, merchant_id, amount_minor, currency, status, created_at)"
    " VALUES (:id, :payment, 'mer_1', 1, 'EUR', 'succeeded', :at)"
)


@pytest.fixture
async def conn(fresh_database: FreshDatabase) -> AsyncIterator[AsyncConnection]:
    """As a merchant's request reads, with row-level security."""
    database = await fresh_database("payments")
    owner = create_engine(Settings(database_url=database.admin_url))
    given = IDS | {"times": TIMES, "event_times": EVENT_TIMES, "merchants": MERCHANTS}
    async with owner.begin() as connection:
        # Rows without the checks of foreign keys, of which there are four a transfer.
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        for statement in ROWS:
            await connection.execute(
                text(statement), {name: value for name, value in given.items() if f":{name}" in statement}
            )
    async with owner.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("ANALYZE"))
    await owner.dispose()
    engine: AsyncEngine = create_engine(Settings(database_url=database.app_url))
    async with engine.connect() as connection:
        await connection.execute(BECOME, {"merchant_id": MERCHANT})
        yield connection
    await engine.dispose()


def of(prefix: str, window: Window) -> list[str]:
    """What the window holds, newest first."""
    first = window.created_from or datetime.min.replace(tzinfo=UTC)
    end = window.created_to or datetime.max.replace(tzinfo=UTC)
    return [
        one
        for one, at in zip(IDS[prefix], EVENT_TIMES if prefix == "evt" else TIMES, strict=True)
        if first <= at < end
    ][::-1][: window.limit]


async def test_what_was_made_in_a_span_of_time_is_found_whatever_its_ends(conn: AsyncConnection) -> None:
    chance = random.Random(7)
    ends = [
        None,
        *(chance.choice(TIMES) for _ in range(12)),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ]
    for _ in range(60):
        window = Window(100, created_from=chance.choice(ends), created_to=chance.choice(ends))
        for prefix, query in (("pay", payments.PAYMENTS), ("rf", refunds.REFUNDS)):
            rows, _more = await query.rows(conn, MERCHANT, window)
            assert [row.id for row in rows] == of(prefix, window), window
        lines = await movements.of_window(conn, MERCHANT, window, limit=100, currency=None)
        assert [line.journal_id for line in lines] == of("je", window), window
        where = EventFilter(since=window.created_from, until=window.created_to)
        newest = await events.page(conn, MERCHANT, where=where, newest_first=True, limit=100)
        assert [event["id"] for event in newest] == of("evt", window), window


async def test_a_row_a_little_apart_from_its_id_is_in_the_span_that_its_time_says(
    conn: AsyncConnection,
) -> None:
    """Postgres's clock may be behind or ahead of the process's, and a request may have waited."""
    await conn.execute(text("RESET role"))
    for number, minutes in ((300, -4), (500, 4)):
        at = TIMES[number] + timedelta(minutes=minutes)
        moved = {"at": at, "id": IDS["pay"][number]}
        await conn.execute(text("UPDATE payments.payment SET created_at = :at WHERE id = :id"), moved)
        window = Window(10, created_from=at, created_to=at + timedelta(seconds=1))
        rows, _ = await payments.PAYMENTS.rows(conn, MERCHANT, window)
        assert [row.id for row in rows] == [IDS["pay"][number]]


async def test_an_event_that_was_committed_before_an_earlier_one_is_in_the_span_that_its_time_says(
    conn: AsyncConnection,
) -> None:
    for number in OUT_OF_ORDER:
        at = EVENT_TIMES[number]
        where = EventFilter(since=at, until=at + timedelta(seconds=1))
        found = await events.page(conn, MERCHANT, where=where, limit=10)
        assert [event["id"] for event in found] == [IDS["evt"][number]]


async def test_a_refund_that_a_bank_sent_back_has_an_id_that_tells_no_time(conn: AsyncConnection) -> None:
    await conn.execute(text("RESET role"))
    ids = {returned_refund_id("bank_sim", f"return-{n}"): TIMES[n] for n in range(0, 600, 60)}
    for refund, at in ids.items():
        told = {"id": refund, "payment": IDS["pay"][0], "at": at + timedelta(seconds=1)}
        await conn.execute(RETURNED, told)
    for refund, at in ids.items():
        window = Window(10, created_from=at, created_to=at + timedelta(seconds=2))
        rows, _ = await refunds.REFUNDS.rows(conn, MERCHANT, window)
        assert [row.id for row in rows] == [refund, IDS["rf"][TIMES.index(at)]], "newest first"
        rows, _ = await refunds.REFUNDS.rows(conn, MERCHANT, Window(1, before=refund))
        assert [row.id for row in rows] == [IDS["rf"][TIMES.index(at)]]


async def test_of_a_day_only_its_rows_are_read(conn: AsyncConnection) -> None:
    for day in (0, 12):
        await assert_only_its_rows_are_read(conn, day)


async def assert_only_its_rows_are_read(conn: AsyncConnection, day: int) -> None:
    window = Window(
        100, created_from=FIRST_DAY + timedelta(days=day), created_to=FIRST_DAY + timedelta(days=day + 1)
    )
    for prefix, query in (("pay", payments.PAYMENTS), ("rf", refunds.REFUNDS)):
        listed: PageQuery = query
        read = await rows_read(conn, listed.statement(window), listed.parameters(MERCHANT, window))
        assert A_DAY <= read <= A_DAY + 2, (prefix, read)
    ends = {"merchant_id": MERCHANT, "since": window.created_from, "until": window.created_to}
    # Halving 12,000 positions twice, and looking for the last of them.
    assert await rows_read(conn, events.BORDERS, ends) <= 2 * 16
    where = EventFilter(since=window.created_from, until=window.created_to)
    for way in (events.OLDEST_FIRST, events.NEWEST_FIRST):
        asked = await events.asked(conn, MERCHANT, where=where, limit=100)
        read = await rows_read(conn, way, asked)
        assert A_DAY <= read <= A_DAY + 2, read
    statement, parameters = movements.asked(MERCHANT, window, limit=100, currency=None, position=None)
    # Where the day begins and ends: two ends, accounts and sides, and halving 24,000 numbers. Then the account's rows,
    # or everybody's of that day for each account and side, where so few merchants make that look cheaper to Postgres.
    looks, of_the_day = 2 * 2 * 2 * 16, 2 * 2 * MERCHANTS * (A_DAY + 1)
    lines = await rows_read(conn, statement, parameters)
    assert lines <= looks + of_the_day < MERCHANTS * len(TIMES) / 4, lines


async def rows_read(conn: AsyncConnection, statement: Any, parameters: Mapping[str, Any]) -> int:
    """How many rows of the tables of money the plan looked at, those it threw away with them."""
    explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}")
    plan = (await conn.execute(explained, parameters)).scalar_one()
    return sum(
        round((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in nodes(plan[0]["Plan"])
        if node.get("Relation Name") in ("payment", "refund", "transfer", "outbox_event")
    )


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A node of a plan and all below it."""
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]
