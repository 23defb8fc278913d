"""Alembic for one service: its scripts are package data, its version table is in its own schema.

Runs as the owner role, one at a time under an advisory lock, with a lock timeout: a migration that would queue
behind a long reader and block every writer behind itself gives up instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache

from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from platform_kit.db import ping
from platform_kit.logging import get_logger
from platform_kit.ops import Check

LOCK_TIMEOUT_MS = 5_000
LOCK_NAMESPACE = 0x504D  # "PM": keeps this advisory lock apart from the relay's and the consumers'

log = get_logger(__name__)


async def upgrade(url: URL, package: str, schema: str, *, wait_s: float = 0) -> None:
    """Bring `schema` to the newest revision of `package`; waits up to `wait_s` seconds for Postgres to answer.

    A database that is ahead of this code (after a rollback of the release) is left as it is: migrations only expand,
    so older code runs on it.
    """
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        await _wait_until_up(engine, wait_s)
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade, package, schema)
    finally:
        await engine.dispose()


async def is_migrated(engine: AsyncEngine, package: str, schema: str) -> bool:
    """Whether the schema has every revision that this code needs (or is ahead of it)."""
    async with engine.connect() as connection:
        current = await connection.run_sync(_current, schema)
    scripts = _scripts(package)
    return current is not None and (current == scripts.get_current_head() or not _knows(scripts, current))


def database_checks(engine: AsyncEngine, package: str, schema: str) -> Mapping[str, Check]:
    """What a process needs of its database before it is ready: that it answers, and that it has this code's schema."""
    return {"postgres": lambda: ping(engine), "migrations": lambda: is_migrated(engine, package, schema)}


async def revisions(engine: AsyncEngine, package: str, schema: str) -> tuple[str | None, str | None]:
    """The schema's revision, and the newest that this code knows."""
    async with engine.connect() as connection:
        current = await connection.run_sync(_current, schema)
    return current, _scripts(package).get_current_head()


def run_env(metadata: MetaData) -> None:
    """The whole of a service's `env.py`: run the chosen command on the connection that `upgrade` opened."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=metadata.schema,
        include_schemas=True,
        include_name=lambda name, kind, _: kind != "schema" or name == metadata.schema,
        compare_server_default=False,
        transaction_per_migration=True,  # the locks of one are not held through the work of the next
    )
    with context.begin_transaction():
        context.run_migrations()


def config(package: str, connection: Connection | None = None) -> Config:
    """Alembic's configuration for `package`, whose scripts live in `<package>/store/migrations`; a second history of
    the same service is named in full, as in `payment_gateway.store.vault:migrations`."""
    made = Config()
    made.set_main_option("script_location", package if ":" in package else f"{package}.store:migrations")
    made.attributes["connection"] = connection
    return made


def _upgrade(connection: Connection, package: str, schema: str) -> None:
    connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
    connection.execute(text("SET statement_timeout = 0"))
    # Of the session, which ends with this connection: a revision's own transaction ends before the next one begins.
    connection.execute(
        text("SELECT pg_advisory_lock(:space, hashtext(:schema))"),
        {"space": LOCK_NAMESPACE, "schema": schema},
    )
    current = _current(connection, schema)
    connection.commit()
    scripts = _scripts(package)
    if current is not None and not _knows(scripts, current):
        log.warning("database is ahead of this code, nothing to migrate", schema=schema, revision=current)
        return
    command.upgrade(config(package, connection), "head")
    log.info("migrated", schema=schema, was=current, now=scripts.get_current_head())


def _current(connection: Connection, schema: str) -> str | None:
    if connection.scalar(text("SELECT to_regclass(:name)"), {"name": f"{schema}.alembic_version"}) is None:
        return None
    found: str | None = connection.scalar(text(f'SELECT version_num FROM "{schema}".alembic_version'))  # noqa: S608 - a constant of ours
    return found


@cache  # reading forty revisions takes 10 ms, and each question whether a process is ready asks
def _scripts(package: str) -> ScriptDirectory:
    return ScriptDirectory.from_config(config(package))


def _knows(scripts: ScriptDirectory, revision: str) -> bool:
    return any(script.revision == revision for script in scripts.walk_revisions())


async def _wait_until_up(engine: AsyncEngine, wait_s: float) -> None:
    give_up_at = asyncio.get_running_loop().time() + wait_s
    while True:
        try:
            async with engine.connect():
                return
        except (OSError, DBAPIError):
            if asyncio.get_running_loop().time() >= give_up_at:
                raise
            await asyncio.sleep(0.5)
