"""Postgres through SQLAlchemy Core on asyncpg: the engine, the metadata of a schema, a ping."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import asyncpg
import orjson
from sqlalchemy import MetaData, event, text
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from platform_kit.settings import ServiceSettings

# Constraint names follow one convention, so that a migration can name what it drops.
NAMING_CONVENTION = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}

STATEMENT_TIMEOUT_MS = 10_000  # longer than any statement of ours by far; a runaway must not hold locks
# What a payment waits for is found by key. Plans are made once and kept, often while a table is small, and one that
# reads a small table whole would go on doing so when it has grown: that was a third of Postgres' work.
BY_KEY = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
PING_AFTER_S = 30.0  # idle so long, a connection is asked whether it is still there
POOL_TIMEOUT_S = 5.0  # less than a client waits: an exhausted pool is an answer, not a hang


def metadata(schema: str) -> MetaData:
    """Metadata of one service's schema, with the naming convention."""
    return MetaData(schema=schema, naming_convention=NAMING_CONVENTION)


def create_engine(
    settings: ServiceSettings,
    *,
    pool_size: int | None = None,
    url: URL | None = None,
    plans_each_time: bool = False,
    finds_by_key: bool = False,
) -> AsyncEngine:
    """The engine of one process: `pool_size` connections and none beyond, JSON by orjson, UTC. `url` names another
    database or role than the service's own. `plans_each_time` is for statements over many rows: a plan that was made
    once, over small tables and for whatever may come, cost a batch of events more than planning does. `finds_by_key` is
    for connections on the way of a payment, whose every statement looks for some rows by an index."""
    engine = create_async_engine(
        url or settings.asyncpg_url(),
        pool_size=pool_size or settings.database_pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        hide_parameters=True,  # they hold customers' data, and an error's text goes to the log
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={
            "timeout": POOL_TIMEOUT_S,
            "server_settings": {
                "application_name": f"{type(settings).__module__.partition('.')[0]} {settings.app_version}",
                "timezone": "UTC",
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "jit": "off",  # our statements are short; a JIT compile costs more than they run
                "plan_cache_mode": "force_custom_plan" if plans_each_time else "auto",
                **(BY_KEY if finds_by_key else {}),
            },
        },
    )
    event.listen(engine.sync_engine, "handle_error", _invalidate_broken_connection)
    event.listen(engine.sync_engine, "checkin", _note_use)
    event.listen(engine.sync_engine, "checkout", partial(_refuse_dead_connection, engine))
    return engine


def each_by_itself(engine: AsyncEngine) -> AsyncEngine:
    """The same connections, each statement its own transaction: for single statements, no BEGIN before and no COMMIT or
    ROLLBACK after them, which are two round trips of three."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def _note_use(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.info["used_at_s"] = time.monotonic()


def _refuse_dead_connection(
    engine: AsyncEngine, connection: DBAPIConnection, record: ConnectionPoolEntry, _: object
) -> None:
    """Give the pool's place another connection when this one is closed, or was idle for long and does not answer.

    SQLAlchemy's own `pool_pre_ping` asks at every checkout: BEGIN, an empty statement and ROLLBACK, three round trips
    before the one that is wanted. A server that ends, restarts or is killed closes its connections, and asyncpg knows
    without asking; only one that vanished without a word (a partition, a firewall) must be asked, and then because of
    how long it has been quiet.
    """
    driver = record.driver_connection
    assert isinstance(driver, asyncpg.Connection)
    if driver.is_closed():
        raise DisconnectionError("closed by the server")
    if time.monotonic() - record.info.get("used_at_s", time.monotonic()) > PING_AFTER_S:
        try:
            engine.sync_engine.dialect.do_ping(connection)
        except engine.sync_engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("does not answer") from error


def _invalidate_broken_connection(context: ExceptionContext) -> None:
    """A backend that dies inside a transaction surfaces as asyncpg's InternalClientError, which SQLAlchemy takes for
    an ordinary error and returns the dead connection to the pool (sqlalchemy#13241): say that it is gone."""
    cause = getattr(context.original_exception, "__cause__", None)
    if isinstance(cause, asyncpg.InternalClientError | asyncpg.InterfaceError):
        context.is_disconnect = True


async def ping(engine: AsyncEngine) -> None:
    """Raises when Postgres does not answer."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


def sqlstate(error: BaseException) -> str | None:
    """The five-character SQLSTATE behind a SQLAlchemy or driver error, if there is one."""
    seen: Any = error
    while seen is not None:
        state = getattr(seen, "sqlstate", None)
        if state:
            return str(state)
        seen = getattr(seen, "orig", None) or seen.__cause__
    return None


def is_unavailable(error: BaseException) -> bool:
    """Whether the database is not there, rather than saying no: a lost or refused connection, no connection free in
    time, SQLSTATE class 08 (connection), 53 (no resources) or 57 (shutdown, crash, starting)."""
    if isinstance(error, DBAPIError):
        gone = error.connection_invalidated or isinstance(error, InterfaceError)
        return gone or (sqlstate(error) or "")[:2] in {"08", "53", "57"}
    return isinstance(error, PoolTimeoutError | ConnectionError | TimeoutError)
