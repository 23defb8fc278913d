"""Backups are proven by restoring them: the chart's scripts against a real Postgres. Level: process."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from platform_cli.backup.scripts import BackupFailed, Database, bring_back, find, newest, take
from platform_cli.embedded import databases
from platform_cli.embedded.testing import PASSWORDS, FreshDatabase, TestDatabase
from platform_kit.migrations import LOCK_NAMESPACE

MOVE = """
    INSERT INTO payments.account (owner, kind, currency, debits_posted, credits_posted)
    VALUES ('platform', 'backup_a', 'EUR', 1250, 0), ('platform', 'backup_b', 'EUR', 0, 1250)
    ON CONFLICT (owner, kind, currency) DO UPDATE
        SET debits_posted = account.debits_posted + excluded.debits_posted,
            credits_posted = account.credits_posted + excluded.credits_posted
"""
BALANCE = "SELECT debits_posted FROM payments.account WHERE kind = 'backup_a'"


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> TestDatabase:
    """A ledger with two accounts that balance."""
    made = await fresh_database("payments")
    await value(made.app_url, MOVE)
    return made


async def value(url: str, statement: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def backed_up(database: TestDatabase, directory: Path, keep: int | None = None) -> dict[str, Any]:
    """Take a backup as the role that only reads; its manifest."""
    take(Database.at(database.url("platform_backup")), directory, keep)
    return dict(json.loads((place(directory) / "manifest.json").read_text()))


def place(directory: Path) -> Path:
    """Where the newest backup is."""
    name = newest(directory)
    assert name is not None
    return directory / name


async def test_a_backup_by_the_reading_role_restores_to_the_same_ledger(
    database: TestDatabase, tmp_path: Path
) -> None:
    manifest = backed_up(database, tmp_path)
    assert manifest["ledger"]["balanced"] is True
    assert manifest["ledger"]["rows"]["payments.account"] >= 2
    assert "the ledger is the same" in bring_back(Database.at(database.admin_url), tmp_path)


async def test_a_drill_leaves_no_database_behind(database: TestDatabase, tmp_path: Path) -> None:
    backed_up(database, tmp_path)
    bring_back(Database.at(database.admin_url), tmp_path)
    left = f"SELECT count(*) FROM pg_database WHERE datname LIKE '{database.name}\\_%'"
    assert await value(database.admin_url, left) == 0


async def test_a_backup_of_a_busy_ledger_is_of_one_instant(database: TestDatabase, tmp_path: Path) -> None:
    """Without the shared snapshot the hashes and the dump would be of two."""
    stop = asyncio.Event()

    async def work() -> int:
        connection = await asyncpg.connect(database.app_url)
        moves = 0
        while not stop.is_set():
            await connection.execute(MOVE)
            moves += 1
        await connection.close()
        return moves

    working = asyncio.create_task(work())
    await asyncio.to_thread(backed_up, database, tmp_path)
    stop.set()
    assert await working > 20
    said = await asyncio.to_thread(bring_back, Database.at(database.admin_url), tmp_path)
    assert "the ledger is the same" in said


async def test_a_replaced_database_has_its_rows_owners_and_grants(
    database: TestDatabase, tmp_path: Path
) -> None:
    backed_up(database, tmp_path)
    await value(database.app_url, MOVE)
    bring_back(Database.at(database.admin_url), tmp_path, replace=True)
    assert await value(database.app_url, BALANCE) == 1250
    assert await value(database.owner_url, "SELECT true") is True
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await value(database.app_url, "UPDATE payments.transfer SET amount_minor = 1")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await value(database.url("risk_app"), BALANCE)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await value(database.app_url, "CREATE TABLE payments.mine (id int)")


async def test_what_was_there_before_a_restore_is_kept_and_closed(
    database: TestDatabase, tmp_path: Path
) -> None:
    backed_up(database, tmp_path)
    await value(database.app_url, MOVE)
    bring_back(Database.at(database.admin_url), tmp_path, replace=True)
    find = f"SELECT datname FROM pg_database WHERE datname LIKE '{database.name}\\_before\\_%' AND NOT datallowconn"
    before = await value(database.admin_url, find)
    await value(database.admin_url, f'ALTER DATABASE "{before}" WITH ALLOW_CONNECTIONS true')
    kept = databases.url_for(database.admin_url, before, "payments_app", PASSWORDS["payments_app"])
    assert await value(kept, BALANCE) == 2500
    await databases.drop_database(databases.url_for(database.admin_url, "postgres"), before)


async def test_a_session_does_not_stand_in_the_way_of_a_restore(
    database: TestDatabase, tmp_path: Path
) -> None:
    backed_up(database, tmp_path)
    session = await asyncpg.connect(database.app_url)
    await asyncio.to_thread(bring_back, Database.at(database.admin_url), tmp_path, replace=True)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await session.fetchval("SELECT 1")


async def test_a_damaged_dump_is_refused(database: TestDatabase, tmp_path: Path) -> None:
    backed_up(database, tmp_path)
    dump = place(tmp_path) / "platform.dump"
    content = bytearray(dump.read_bytes())
    content[len(content) // 2] ^= 1
    dump.write_bytes(content)
    with pytest.raises(BackupFailed, match="is damaged"):
        bring_back(Database.at(database.admin_url), tmp_path)


async def test_a_ledger_that_is_not_the_one_of_the_manifest_is_refused_and_nothing_is_replaced(
    database: TestDatabase, tmp_path: Path
) -> None:
    """The checksums fit here: only the comparison of the ledgers stands between this backup and the live database."""
    manifest = backed_up(database, tmp_path)
    await value(database.app_url, MOVE)
    manifest["ledger"]["account_hash"] = "0" * 64
    write(place(tmp_path), manifest)
    with pytest.raises(BackupFailed, match="the ledger differs: account_hash was"):
        bring_back(Database.at(database.admin_url), tmp_path, replace=True)
    assert await value(database.app_url, BALANCE) == 2500


async def test_a_ledger_that_did_not_balance_when_it_was_dumped_is_refused(
    database: TestDatabase, tmp_path: Path
) -> None:
    await value(database.app_url, "UPDATE payments.account SET debits_posted = 1 WHERE kind = 'backup_a'")
    assert backed_up(database, tmp_path)["ledger"]["balanced"] is False
    with pytest.raises(BackupFailed, match="does not balance"):
        bring_back(Database.at(database.admin_url), tmp_path)


async def test_a_backup_that_cannot_read_everything_leaves_nothing(
    database: TestDatabase, tmp_path: Path
) -> None:
    with pytest.raises(BackupFailed):
        take(Database.at(database.url("payments_app")), tmp_path)
    assert names(tmp_path) == set()


async def test_the_backup_role_can_change_nothing(database: TestDatabase) -> None:
    for statement in (
        BALANCE.replace("SELECT debits_posted FROM", "DELETE FROM"),
        "CREATE TABLE public.x (id int)",
    ):
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
            await value(database.url("platform_backup"), statement)


async def test_without_a_schema_there_is_nothing_to_back_up(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    empty = await fresh_database(None)
    with pytest.raises(BackupFailed, match="no ledger to back up"):
        take(Database.at(empty.admin_url), tmp_path)


async def test_who_waits_waits_for_every_schema(database: TestDatabase, tmp_path: Path) -> None:
    """As the first backup of a release does: the gateway's tables are there, those of the other two are not."""
    with pytest.raises(BackupFailed, match="no ledger to back up"):
        take(Database.at(database.url("platform_backup")), tmp_path, wait_s=1)
    for schema in ("risk", "pipeline"):
        await value(database.admin_url, f"CREATE TABLE {schema}.one (id int)")
    take(Database.at(database.url("platform_backup")), tmp_path, wait_s=1)


async def test_who_waits_waits_until_no_migration_is_under_way(
    database: TestDatabase, tmp_path: Path
) -> None:
    """A migration commits revision by revision: tables are there before its last one is through."""
    for schema in ("risk", "pipeline"):
        await value(database.admin_url, f"CREATE TABLE {schema}.one (id int)")
    migration = await asyncpg.connect(database.owner_url)
    try:
        await migration.execute(f"SELECT pg_advisory_lock({LOCK_NAMESPACE}, hashtext('payments'))")
        with pytest.raises(BackupFailed, match="no ledger to back up"):
            take(Database.at(database.url("platform_backup")), tmp_path, wait_s=1)
    finally:
        await migration.close()
    take(Database.at(database.url("platform_backup")), tmp_path, wait_s=10)


async def test_old_backups_go_and_what_is_not_one_stays(database: TestDatabase, tmp_path: Path) -> None:
    for name in ("2026-01-01T000000Z", "2026-01-02T000000Z", "2026-01-03T000000Z", "mine"):
        (tmp_path / name).mkdir()
    backed_up(database, tmp_path, keep=2)
    assert names(tmp_path) == {"2026-01-03T000000Z", "mine", place(tmp_path).name}


async def test_a_backup_that_is_not_there_is_missed_before_anything_is_stopped(
    database: TestDatabase, tmp_path: Path
) -> None:
    with pytest.raises(BackupFailed, match="no backup at all"):
        find(tmp_path, None)
    backed_up(database, tmp_path)
    name = place(tmp_path).name
    assert (find(tmp_path, None), find(tmp_path, name)) == (name, name)
    with pytest.raises(BackupFailed, match=f"no backup nope in .*; there are {name}"):
        find(tmp_path, "nope")


async def test_a_backup_without_any_is_asked_for_by_name(database: TestDatabase, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="no backup at all"):
        bring_back(Database.at(database.admin_url), tmp_path)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def write(backup: Path, manifest: dict[str, Any]) -> None:
    """Another manifest under checksums that fit it."""
    (backup / "manifest.json").write_text(json.dumps(manifest))
    sums = [
        f"{hashlib.sha256((backup / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("platform.dump", "manifest.json")
    ]
    (backup / "SHA256SUMS").write_text("".join(sums))
