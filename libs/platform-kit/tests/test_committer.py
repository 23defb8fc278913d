"""Group commit on a real Postgres, and what it says when Postgres does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from platform_cli.embedded.testing import FreshDatabase
from platform_kit.committer import Committer, CommitUnknown, NotCommitted, TryFlushAgain
from platform_kit.db import create_engine
from platform_kit.settings import ServiceSettings

pytestmark = pytest.mark.timing


@pytest.fixture
async def engine(fresh_database: FreshDatabase) -> AsyncIterator[AsyncEngine]:
    database = await fresh_database(None)
    engine = create_engine(ServiceSettings(database_url=database.admin_url))
    async with engine.begin() as connection:
        await connection.execute(
            text("CREATE TABLE entry (id int PRIMARY KEY, amount int CHECK (amount > 0))")
        )
    yield engine
    assert engine.pool.checkedout() == 0, "a connection was not given back"  # type: ignore[attr-defined]
    await engine.dispose()


INSERT = text(
    "INSERT INTO entry SELECT * FROM unnest(CAST(:ids AS int[]), CAST(:amounts AS int[]))"
    " ON CONFLICT (id) DO NOTHING RETURNING id"
)


class Flush:
    """Inserts (id, amount) pairs; answers each with whether this flush wrote it. Keeps the sizes of its batches."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def __call__(self, conn: AsyncConnection, items: Sequence[tuple[int, int]]) -> list[bool]:
        self.sizes.append(len(items))
        rows = await conn.execute(INSERT, {"ids": [i for i, _ in items], "amounts": [a for _, a in items]})
        written = {row.id for row in rows}
        return [number in written for number, _ in items]


async def stored(engine: AsyncEngine) -> set[int]:
    async with engine.connect() as connection:
        return set(await connection.scalars(text("SELECT id FROM entry")))


async def test_what_waits_goes_into_one_flush_and_each_caller_gets_its_own_result(
    engine: AsyncEngine,
) -> None:
    flush = Flush()
    async with Committer(engine, flush) as committer:
        results = await asyncio.gather(*(committer.submit((n, n % 9 + 1)) for n in range(100)))
    assert all(results)
    assert sum(flush.sizes) == 100
    assert len(flush.sizes) < 10, "a batch is not one item"
    assert await stored(engine) == set(range(100))


async def test_a_flush_takes_no_more_than_it_can_carry_and_one_item_always(engine: AsyncEngine) -> None:
    flush = Flush()
    async with Committer(engine, flush, batch_max=10, weight=lambda item: item[1]) as committer:
        weights = [4, 4, 4, 25, 1, 9]
        await asyncio.gather(*(committer.submit((n, weight)) for n, weight in enumerate(weights)))
    assert flush.sizes == [2, 1, 1, 2]


@pytest.mark.parametrize(("gather_max_s", "sizes"), [(0.0, [1, 2, 1, 1]), (5.0, [1, 2, 2])])
async def test_a_flush_after_one_that_had_company_waits_for_some(
    engine: AsyncEngine, gather_max_s: float, sizes: list[int]
) -> None:
    flush = Flush()

    async def slowly(conn: AsyncConnection, items: Sequence[tuple[int, int]]) -> list[bool]:
        await asyncio.sleep(0.2)
        return await flush(conn, items)

    async with Committer(engine, slowly, gather_max_s=gather_max_s) as committer:
        await committer.submit((0, 1))  # alone: the next one does not wait
        await asyncio.gather(committer.submit((1, 1)), committer.submit((2, 1)))
        third = asyncio.create_task(committer.submit((3, 1)))
        await asyncio.sleep(0.05)  # the flush before took 0.2 s: so long this one waits
        assert await asyncio.gather(third, committer.submit((4, 1))) == [True, True]
    assert flush.sizes == sizes


async def test_a_flush_goes_by_key_however_small_the_table_was_when_it_was_planned(
    engine: AsyncEngine,
) -> None:
    async def plan(conn: AsyncConnection, items: Sequence[int]) -> list[str]:
        rows = await conn.scalars(
            text("EXPLAIN SELECT * FROM entry WHERE id = ANY(CAST('{1,2,3}' AS int[]))")
        )
        return ["\n".join(rows)] * len(items)

    async with Committer(engine, plan) as committer:
        assert "Seq Scan" not in await committer.submit(1)
    async with engine.connect() as connection:
        assert await connection.scalar(text("SHOW enable_seqscan")) == "on", (
            "for the lanes' connections alone"
        )


async def test_a_flush_that_only_reads_opens_no_transaction(engine: AsyncEngine) -> None:
    async def ask(conn: AsyncConnection, items: Sequence[int]) -> list[bool]:
        ids = [await conn.scalar(text("SELECT pg_current_xact_id()::text")) for _ in range(2)]
        return [ids[0] != ids[1]] * len(items)

    async with Committer(engine, ask, reads_only=True) as committer:
        assert await committer.submit(1), "each statement is a transaction of its own"


async def test_one_item_that_the_database_refuses_does_not_take_its_neighbours_along(
    engine: AsyncEngine,
) -> None:
    async with Committer(engine, Flush()) as committer:
        results = await asyncio.gather(
            *(committer.submit((n, 0 if n == 3 else 1)) for n in range(6)), return_exceptions=True
        )
    assert [type(result) for result in results] == [bool, bool, bool, IntegrityError, bool, bool]
    assert await stored(engine) == {0, 1, 2, 4, 5}


async def test_a_caller_that_goes_away_leaves_its_item_in_the_flush(engine: AsyncEngine) -> None:
    async with Committer(engine, Flush()) as committer:
        waiting = asyncio.create_task(committer.submit((7, 1)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert await stored(engine) == {7}


async def test_closing_flushes_what_is_queued_and_takes_nothing_more(engine: AsyncEngine) -> None:
    async with Committer(engine, Flush()) as committer:
        waiting = [asyncio.create_task(committer.submit((n, 1))) for n in range(20)]
        await asyncio.sleep(0)
    assert all(await asyncio.gather(*waiting))
    with pytest.raises(NotCommitted):
        await committer.submit((99, 1))


async def test_a_full_queue_refuses_before_anything_is_written(engine: AsyncEngine) -> None:
    async with Committer(engine, Flush(), queue_max=5) as committer:
        waiting = [asyncio.create_task(committer.submit((n, 1))) for n in range(8)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
    refused = [result for result in results if isinstance(result, NotCommitted)]
    assert len(refused) == 3
    assert len(await stored(engine)) == 5


async def test_a_flush_that_lost_a_race_runs_again(engine: AsyncEngine) -> None:
    tries: list[int] = []

    async def flush(conn: AsyncConnection, items: Sequence[int]) -> list[str]:
        tries.append(len(items))
        if len(tries) < 3:
            raise TryFlushAgain
        return ["done"] * len(items)

    async with Committer(engine, flush) as committer:
        assert await committer.submit(1) == "done"
    assert len(tries) == 3


async def test_a_backend_that_dies_in_the_middle_costs_a_retry_and_nothing_else(engine: AsyncEngine) -> None:
    killed: list[int] = []
    inner = Flush()

    async def flush(conn: AsyncConnection, items: Sequence[tuple[int, int]]) -> list[bool]:
        if not killed:
            killed.append(1)
            pid = await conn.scalar(text("SELECT pg_backend_pid()"))
            await inner(conn, items)
            await terminate(engine, pid)
        return await inner(conn, items)

    async with Committer(engine, flush) as committer:
        assert await committer.submit((1, 1)) is True
        assert await committer.submit((2, 1)) is True, "the dead connection came back from the pool"
    assert await stored(engine) == {1, 2}


async def test_a_commit_whose_answer_is_lost_is_found_out_about_and_not_done_twice(
    engine: AsyncEngine,
) -> None:
    """The transaction commits, and the answer never arrives: the flush runs again and meets its own work."""
    inner = Flush()
    flushed: list[int] = []

    async def flush(conn: AsyncConnection, items: Sequence[tuple[int, int]]) -> list[bool]:
        written = await inner(conn, items)
        flushed.append(1)
        if len(flushed) == 1:
            sync = conn.sync_connection
            assert sync is not None
            commit = sync._commit_impl  # type: ignore[attr-defined]

            def commit_and_lose_the_answer() -> None:
                commit()
                raise ConnectionResetError("the answer to COMMIT never came")

            sync._commit_impl = commit_and_lose_the_answer  # type: ignore[attr-defined]
        return written

    async with Committer(engine, flush) as committer:
        assert await committer.submit((1, 1)) is False, "recognised as written before"
    assert await stored(engine) == {1}
    assert len(flushed) == 2


async def test_a_database_that_is_gone_is_not_committed_and_says_so() -> None:
    engine = create_engine(ServiceSettings(database_url="postgresql://nobody@127.0.0.1:1/none"))
    async with Committer(engine, Flush()) as committer:
        with pytest.raises(NotCommitted) as refusal:
            await committer.submit((1, 1))
    assert refusal.value.status == 503
    assert not isinstance(refusal.value, CommitUnknown)
    await engine.dispose()


async def terminate(engine: AsyncEngine, pid: int) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
