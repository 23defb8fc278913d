"""Postgres shows a merchant's reads no row of another's, whatever a statement forgets."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from gateway_rig import RunningGateway
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from tenant_rig import furnish

from payment_gateway.settings import Settings
from payment_gateway.store.tables import metadata
from payment_gateway.store.tenancy import as_merchant
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.db import create_engine

GUARDED = text(
    "SELECT relname FROM pg_class c JOIN pg_policies p ON p.schemaname = 'payments' AND p.tablename = relname"
    " WHERE relnamespace = 'payments'::regnamespace AND relrowsecurity AND policyname = 'own_rows'"
)
# Written for a merchant and read back for nobody: the committer and the jobs alone have them.
NOT_READ = {"idempotency_key"}


async def counts(connection: AsyncConnection) -> Mapping[str, int]:
    """Rows that are seen in each table that a tenant may read at all."""
    tables = (await connection.execute(GUARDED)).scalars().all()
    return {
        table: int(await connection.scalar(text(f"SELECT count(*) FROM payments.{table}")) or 0)
        for table in tables
    }


async def test_a_read_without_a_merchant_sees_nothing(gateway: RunningGateway) -> None:
    await furnish(gateway)
    async with gateway.deps.engine.connect() as connection:
        await connection.execute(text("SET LOCAL ROLE payments_tenant"))
        seen = dict(await counts(connection))
        owners = await connection.scalars(
            text("SELECT DISTINCT split_part(owner, ':', 1) FROM payments.account")
        )
    assert not {"merchant", "ledger"} & set(owners), "the platform's accounts are nobody's secret"
    del seen["account"]
    assert set(seen.values()) == {0}


async def test_a_merchant_sees_its_own_rows_and_all_of_them(gateway: RunningGateway) -> None:
    """Two merchants with one of everything, and statements that name neither."""
    await furnish(gateway)
    first = gateway.merchant_id
    async with as_merchant(gateway.deps.engine, first) as connection:
        alone = await counts(connection)
    assert min(alone.values()) > 0, "furnish() has something in every table"
    gateway.merchant_id, gateway.key = await gateway.new_merchant()
    await furnish(gateway)
    async with as_merchant(gateway.deps.engine, first) as connection:
        assert await counts(connection) == alone
        merchants = await connection.scalars(text("SELECT DISTINCT merchant_id FROM payments.payment"))
        assert list(merchants) == [first]
    async with gateway.deps.engine.connect() as connection:
        everything = await counts(connection)
    assert all(everything[table] > alone[table] for table in alone if table != "account")


async def test_a_merchants_read_cannot_write_and_leaves_nothing_behind(gateway: RunningGateway) -> None:
    await gateway.captured()
    with pytest.raises(DBAPIError, match="permission denied"):
        async with as_merchant(gateway.deps.engine, gateway.merchant_id) as connection:
            await connection.execute(text("UPDATE payments.payment SET description = 'mine'"))
    for _ in range(gateway.deps.settings.database_pool_size):
        async with gateway.deps.engine.connect() as connection:
            assert await connection.scalar(text("SELECT current_user")) == "payments_app"
            left = await connection.scalar(text("SELECT current_setting('platform.merchant_id', true)"))
            assert left in (None, "")


async def test_every_table_of_merchants_is_guarded(fresh_database: FreshDatabase) -> None:
    """A new table with a merchant_id fails here until a migration gives it policies (see 20261126_access)."""
    database = await fresh_database("payments")
    engine = create_engine(Settings(database_url=database.admin_url))
    async with engine.connect() as connection:
        guarded = set((await connection.execute(GUARDED)).scalars())
    await engine.dispose()
    named = {table.name for table in metadata.tables.values() if "merchant_id" in table.c}
    assert named - NOT_READ <= guarded
