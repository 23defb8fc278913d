"""The schema: what the program's role may do, what the tables refuse, and that migrations and tables agree."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pipeline_rig import a_sale, ingest, settings_for
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.store.tables import metadata
from platform_cli.embedded.testing import TestDatabase
from platform_kit.db import create_engine, sqlstate
from platform_kit.migrations import is_migrated, upgrade

PERMISSION_DENIED = "42501"


async def refused(engine: AsyncEngine, sql: str) -> str | None:
    """The SQLSTATE with which a statement is refused; None when it went through."""
    try:
        async with engine.begin() as conn:
            await conn.execute(text(sql))
    except DBAPIError as error:
        return sqlstate(error)
    return None


async def test_the_tables_in_code_and_the_migrated_schema_are_the_same(database: TestDatabase) -> None:
    def differences(connection: Connection) -> list[object]:
        options = {
            "version_table_schema": "pipeline",
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == "pipeline",
            "compare_type": True,
        }
        found: list[object] = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        return found

    # As superuser: our own roles have the schema in their search_path, so reflection would not name it.
    engine = create_engine(settings_for(database.admin_url))
    async with engine.connect() as conn:
        assert await conn.run_sync(differences) == []
    await engine.dispose()


async def test_migrating_again_changes_nothing(database: TestDatabase, engine: AsyncEngine) -> None:
    await upgrade(settings_for(database.owner_url).asyncpg_url(), "data_pipeline", "pipeline")
    assert await is_migrated(engine, "data_pipeline", "pipeline")


@pytest.mark.parametrize("table", ["stored_event", "fact_transfer", "fact_assessment"])
@pytest.mark.parametrize("verb", ["DELETE FROM {}", "UPDATE {} SET position = 1", "TRUNCATE {}"])
async def test_history_can_be_added_to_and_not_edited(engine: AsyncEngine, table: str, verb: str) -> None:
    await ingest(engine, [a_sale(1)])
    assert await refused(engine, verb.format(f"pipeline.{table}")) == PERMISSION_DENIED


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE pipeline.mine (id int)",
        "DROP TABLE pipeline.rollup",
        "ALTER TABLE pipeline.rollup ADD COLUMN mine int",
        "CREATE TABLE public.mine (id int)",
    ],
)
async def test_the_program_cannot_change_the_schema(engine: AsyncEngine, sql: str) -> None:
    assert await refused(engine, sql) in (PERMISSION_DENIED, "3F000")


@pytest.mark.parametrize("schema", ["payments", "risk"])
async def test_the_program_sees_no_other_services_schema(
    database: TestDatabase, engine: AsyncEngine, schema: str
) -> None:
    owner = create_engine(settings_for(database.url(f"{schema}_owner")))
    async with owner.begin() as conn:
        await conn.execute(text(f"CREATE TABLE {schema}.secret (id int)"))
    await owner.dispose()
    assert await refused(engine, f"SELECT * FROM {schema}.secret") == PERMISSION_DENIED
    assert await refused(engine, f"INSERT INTO {schema}.secret VALUES (1)") == PERMISSION_DENIED
    assert await refused(engine, f"CREATE TABLE {schema}.mine (id int)") == PERMISSION_DENIED


@pytest.mark.parametrize("role", ["payments_app", "risk_app"])
async def test_other_services_see_nothing_of_ours(
    database: TestDatabase, engine: AsyncEngine, role: str
) -> None:
    await ingest(engine, [a_sale(1)])
    stranger = create_engine(settings_for(database.url(role)))
    assert await refused(stranger, "SELECT * FROM pipeline.fact_payment") == PERMISSION_DENIED
    await stranger.dispose()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE pipeline.fact_payment SET status = 'teleported'",
        "UPDATE pipeline.fact_payment SET decision = 'maybe'",
        "UPDATE pipeline.fact_payment SET captured_minor = -1",
        "UPDATE pipeline.rollup SET payment_count = -1",
        "UPDATE pipeline.rollup SET grain = 'week'",
        "UPDATE pipeline.rollup_latency SET payment_count = -1",
        "UPDATE pipeline.quarantine SET state = 'lost'",
        "INSERT INTO pipeline.fact_transfer (journal_id, line, event_id, position, occurred_at, aggregate_id,"
        " debit, credit, amount_minor, currency, kind)"
        " VALUES ('je', 0, 'e', 1, now(), 'a', 'x', 'x', 5, 'EUR', 'posted')",
        "INSERT INTO pipeline.fact_transfer (journal_id, line, event_id, position, occurred_at, aggregate_id,"
        " debit, credit, amount_minor, currency, kind)"
        " VALUES ('je', 0, 'e', 1, now(), 'a', 'x', 'y', 0, 'EUR', 'posted')",
        "INSERT INTO pipeline.settlement_file (id, channel, settled_on, sha256, byte_count, fetched_at)"
        " VALUES ('sf', 'c', now(), 'h', 0, now())",
    ],
)
async def test_the_database_refuses_what_the_core_would_not_write(engine: AsyncEngine, sql: str) -> None:
    await ingest(engine, [a_sale(1)])
    async with engine.begin() as conn:
        await conn.execute(
            text(
                "INSERT INTO pipeline.quarantine (stream, position, payload, fault, detail)"
                " VALUES ('s', 1, '', 'f', '')"
            )
        )
    with pytest.raises((IntegrityError, ProgrammingError)):
        async with engine.begin() as conn:
            await conn.execute(text(sql))
