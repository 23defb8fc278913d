"""The tables in code and the schema that the migrations make are the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from payment_gateway import store
from payment_gateway.settings import Settings
from payment_gateway.store.tables import SCHEMA, metadata
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.db import create_engine


def differences(connection: Connection) -> list[object]:
    options = {
        "version_table_schema": SCHEMA,
        "include_schemas": True,
        "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
        "compare_type": True,
    }
    found: list[object] = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    return found


async def test_the_tables_in_code_and_the_migrated_schema_are_the_same(fresh_database: FreshDatabase) -> None:
    database = await fresh_database("payments")
    # As superuser: our own roles have the schema in their search_path, so reflection would not name it.
    engine = create_engine(Settings(database_url=database.admin_url))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.mark.parametrize("history", ["migrations", "vault/migrations"])
def test_migrations_make_one_chain(history: str) -> None:
    """Two branches that put theirs behind the same one merge without a conflict, and then nothing migrates any more."""
    scripts = ScriptDirectory(str(Path(store.__file__).parent / history))
    assert len(scripts.get_heads()) == 1
