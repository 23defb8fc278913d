"""The vault's schema: who may look into it, and what is in it; and the rotation of its keys."""

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from gateway_rig import RunningGateway
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from vault_rig import VISA, save, vault_with

from payment_gateway.domain.cards import CardNumber
from payment_gateway.domain.envelope import UnknownKey
from payment_gateway.operations.rotate_vault_keys import rotate_vault_keys
from payment_gateway.operations.vault import NoSuchCard, Vault, VaultClosed
from payment_gateway.store.vault import tables
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.db import sqlstate

PERMISSION_DENIED = "42501"
CARD = CardNumber(VISA, 12, 2034)


async def refusal(url: str, statement: str) -> str | None:
    """The SQLSTATE of a statement as the role of `url`; None when it ran."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.begin() as connection:
            await connection.execute(text(statement))
    except DBAPIError as error:
        return sqlstate(error)
    finally:
        await engine.dispose()
    return None


@pytest.mark.parametrize(
    "role", ["payments_app", "payments_owner", "risk_app", "risk_owner", "pipeline_app", "pipeline_owner"]
)
async def test_no_other_role_of_the_platform_reads_the_vault(
    fresh_database: FreshDatabase, role: str
) -> None:
    database = await fresh_database("payments")
    assert await refusal(database.url(role), "SELECT * FROM vault.card") == PERMISSION_DENIED
    assert await refusal(database.url("vault_app"), "SELECT * FROM vault.card") is None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE vault.card SET ciphertext = ciphertext",
        "UPDATE vault.card SET fingerprint = ''",
        "TRUNCATE vault.card",
        "ALTER TABLE vault.card ADD cvc text",
        "SELECT * FROM payments.payment",
    ],
)
async def test_the_vaults_program_changes_no_card_and_sees_no_payment(
    fresh_database: FreshDatabase, statement: str
) -> None:
    database = await fresh_database("payments")
    assert await refusal(database.url("vault_app"), statement) == PERMISSION_DENIED


async def test_the_migration_makes_the_schema_of_the_code(fresh_database: FreshDatabase) -> None:
    database = await fresh_database("payments")

    def differences(connection: Connection) -> list[object]:
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == tables.SCHEMA,
            "version_table_schema": tables.SCHEMA,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata))

    engine = create_async_engine(database.admin_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


def test_no_column_could_hold_a_security_code() -> None:
    names = [column.name for column in tables.card.columns]
    assert not [name for name in names if "cv" in name or "code" in name]


async def test_rotation_brings_every_card_under_the_newest_key_and_the_old_one_may_go(
    gateway: RunningGateway,
) -> None:
    tokens = [(await gateway.deps.vault.tokenise(CARD)).id for _ in range(5)]
    both = vault_with(gateway, "k2", "k1")
    assert await rotate_vault_keys(both) == 5
    assert await both.cards_by_key() == {"k2": 5}
    assert await rotate_vault_keys(both) == 0
    without_the_old = vault_with(gateway, "k2")
    assert [await without_the_old.reveal(token) for token in tokens] == [CARD] * 5
    with pytest.raises(UnknownKey, match="k2"):
        await gateway.deps.vault.reveal(tokens[0])


async def test_rotation_by_several_at_once_rewraps_each_card_once(gateway: RunningGateway) -> None:
    for _ in range(30):
        await gateway.deps.vault.tokenise(CARD)
    both = vault_with(gateway, "k2", "k1")
    done = await asyncio.gather(*(rotate_vault_keys(both, batch=5) for _ in range(4)))
    assert sum(done) == 30
    assert await both.cards_by_key() == {"k2": 30}


async def test_rotation_refuses_a_key_that_it_does_not_have_and_touches_nothing(
    gateway: RunningGateway,
) -> None:
    await gateway.deps.vault.tokenise(CARD)
    await vault_with(gateway, "k7").tokenise(CARD)
    with pytest.raises(UnknownKey, match="k7"):
        await rotate_vault_keys(vault_with(gateway, "k2", "k1"), batch=1)
    assert await gateway.deps.vault.cards_by_key() == {"k1": 1, "k7": 1}


async def test_a_payment_fails_unsent_when_its_card_is_under_a_key_that_is_gone(
    gateway: RunningGateway,
) -> None:
    method = await save(gateway)
    await rotate_vault_keys(vault_with(gateway, "k2", "k1"))  # and this gateway still runs with k1 alone
    body = {"amount_minor": 1250, "currency": "EUR", "payment_method": method["id"]}
    reply = await gateway.post("/v1/payments", body)
    assert (reply.status, reply.body["status"]) == (201, "failed"), reply.raw
    assert await gateway.simulators.journal() == []


async def test_a_forgotten_card_is_gone(gateway: RunningGateway) -> None:
    token = (await gateway.deps.vault.tokenise(CARD)).id
    await gateway.deps.vault.forget(token)
    with pytest.raises(NoSuchCard):
        await gateway.deps.vault.reveal(token)


async def test_without_keys_there_is_no_vault_and_nothing_to_rotate() -> None:
    assert await rotate_vault_keys(Vault()) == 0
    with pytest.raises(VaultClosed):
        await Vault().tokenise(CARD)
