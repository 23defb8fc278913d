"""Many writes as one statement, on a real Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_cli.embedded.testing import FreshDatabase
from platform_kit.db import create_engine
from platform_kit.settings import ServiceSettings
from platform_kit.writes import WriteMissed, Writes

INSERT = text("INSERT INTO one (id, n) SELECT * FROM unnest(CAST(:ids AS int[]), CAST(:numbers AS int[]))")
INSERT_ONCE = text("INSERT INTO one (id, n) VALUES (:id, :n) ON CONFLICT (id) DO NOTHING RETURNING id")
UPDATE = text("UPDATE other AS old SET n = :n, again = CAST(:n AS int) + 1 WHERE old.id = :id")


@pytest.fixture
async def engine(fresh_database: FreshDatabase) -> AsyncIterator[AsyncEngine]:
    database = await fresh_database(None)
    engine = create_engine(ServiceSettings(database_url=database.admin_url))
    async with engine.begin() as connection:
        for table in ("one", "other"):
            await connection.execute(text(f"CREATE TABLE {table} (id int PRIMARY KEY, n int, again int)"))
        await connection.execute(text("INSERT INTO other VALUES (1, 1, 1)"))
    yield engine
    await engine.dispose()


async def test_all_are_sent_at_once_and_each_says_how_many_rows_it_hit(engine: AsyncEngine) -> None:
    sent: list[str] = []
    writes = Writes()
    first = writes.add(INSERT, {"ids": [1, 2, 3], "numbers": [7, 8, 9]}, rows=3)
    second = writes.add(UPDATE, {"id": 1, "n": 5}, rows=1)
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *call: sent.append(call[2]))
    async with engine.begin() as connection:
        counts = await writes.run(connection)
    assert (counts[first], counts[second]) == (3, 1)
    assert len(sent) == 1
    async with engine.connect() as connection:
        assert [tuple(row) for row in await connection.execute(text("SELECT id, n FROM one ORDER BY id"))] == [
            (1, 7), (2, 8), (3, 9),
        ]  # fmt: skip
        assert tuple((await connection.execute(text("SELECT n, again FROM other"))).one()) == (5, 6)


async def test_a_row_that_was_there_counts_as_not_written(engine: AsyncEngine) -> None:
    for expected in (1, 0):
        writes = Writes()
        writes.add(INSERT_ONCE, {"id": 1, "n": 1})
        async with engine.begin() as connection:
            assert await writes.run(connection) == (expected,)


async def test_a_write_that_misses_its_row_takes_the_others_with_it(engine: AsyncEngine) -> None:
    writes = Writes()
    writes.add(INSERT, {"ids": [1], "numbers": [7]}, rows=1)
    writes.add(UPDATE, {"id": 404, "n": 5}, rows=1)
    with pytest.raises(WriteMissed):
        async with engine.begin() as connection:
            await writes.run(connection)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM one")) == 0


async def test_nothing_to_write_is_no_round_trip(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert await Writes().run(connection) == ()
        assert not connection.in_transaction()
