"""Connections are trusted while they are in use, and looked at when they may be gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from event_rig import Rig
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from platform_kit import db
from platform_kit.settings import ServiceSettings


@pytest.fixture
async def engine(rig: Rig) -> AsyncIterator[AsyncEngine]:
    """One connection."""
    url = rig.engine.url.render_as_string(hide_password=False).replace("+asyncpg", "")
    made = db.create_engine(ServiceSettings(database_url=url), pool_size=1)
    yield made
    await made.dispose()


async def _backend(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(text("SELECT pg_backend_pid()")))


async def _statements(rig: Rig, backend: int) -> str:
    """The last one that a backend has run."""
    async with rig.engine.connect() as connection:
        found = await connection.scalar(
            text("SELECT query FROM pg_stat_activity WHERE pid = :pid"), {"pid": backend}
        )
    return str(found)


async def test_a_connection_that_the_server_closed_is_replaced_before_it_is_used(
    rig: Rig, engine: AsyncEngine
) -> None:
    backend = await _backend(engine)
    async with rig.engine.connect() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend})
    await asyncio.sleep(0.2)  # it is heard of

    assert await _backend(engine) not in (backend, None)


async def test_only_a_connection_that_was_quiet_for_long_is_asked_whether_it_is_there(
    rig: Rig, engine: AsyncEngine
) -> None:
    backend = await _backend(engine)
    async with db.each_by_itself(engine).connect() as connection:
        await connection.execute(text("SELECT 'mine'"))
    async with engine.connect():
        assert await _statements(rig, backend) == "SELECT 'mine'"

    def age(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["used_at_s"] -= 2 * db.PING_AFTER_S

    event.listen(engine.sync_engine, "checkin", age)
    async with db.each_by_itself(engine).connect() as connection:
        await connection.execute(text("SELECT 'mine'"))
    async with engine.connect():
        assert await _statements(rig, backend) != "SELECT 'mine'"


async def test_single_statements_need_no_transaction(rig: Rig, engine: AsyncEngine) -> None:
    backend = await _backend(engine)
    async with db.each_by_itself(engine).connect() as connection:
        await connection.execute(text("CREATE TEMPORARY TABLE kept (n int)"))
    assert await _statements(rig, backend) == "CREATE TEMPORARY TABLE kept (n int)"
    async with engine.connect() as connection:  # and was kept
        assert await connection.scalar(text("SELECT count(*) FROM kept")) == 0
