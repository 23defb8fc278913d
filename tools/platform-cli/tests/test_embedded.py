"""The embedded servers and the database factory do what the rest of the tests rely on."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis

from platform_cli.embedded import running, testing
from platform_cli.embedded.unprivileged import ServerUser, is_reachable, server_user, temporary_root

pytestmark = pytest.mark.timing

CRASHING_RUN = """
import os, sys
from platform_cli.embedded.testing import test_servers
with test_servers():
    print(os.getpid(), flush=True)
    os.kill(os.getpid(), 9)
"""


async def test_each_call_gives_a_database_of_its_own(fresh_database: testing.FreshDatabase) -> None:
    first, second = await fresh_database(None), await fresh_database(None)
    connection = await asyncpg.connect(first.owner_url)
    try:
        await connection.execute("CREATE TABLE only_here (id int)")
    finally:
        await connection.close()
    other = await asyncpg.connect(second.owner_url)
    try:
        assert await other.fetchval("SELECT to_regclass('only_here')") is None
    finally:
        await other.close()


async def test_an_app_role_cannot_look_into_the_neighbours_schema(
    fresh_database: testing.FreshDatabase,
) -> None:
    database = await fresh_database("payments")
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute("CREATE TABLE payments.probe (id int)")
    finally:
        await owner.close()
    neighbour = await asyncpg.connect(database.url("risk_app"))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await neighbour.fetch("SELECT * FROM payments.probe")
    finally:
        await neighbour.close()


async def test_the_app_role_reads_and_writes_rows_but_makes_no_tables(
    fresh_database: testing.FreshDatabase,
) -> None:
    database = await fresh_database("risk")
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute("CREATE TABLE risk.probe (id int)")
    finally:
        await owner.close()
    app = await asyncpg.connect(database.app_url)
    try:
        await app.execute("INSERT INTO risk.probe VALUES (1)")
        assert await app.fetchval("SELECT id FROM risk.probe") == 1
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("CREATE TABLE risk.another (id int)")
    finally:
        await app.close()


async def test_redis_answers_and_can_be_emptied(clean_redis_url: str) -> None:
    async with Redis.from_url(clean_redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("key", "value")
        assert await client.get("key") == b"value"


def test_servers_of_a_crashed_run_are_stopped_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_BACKEND", "embedded")  # containers of a crash are Docker's to find
    crashed = subprocess.run(
        [sys.executable, "-c", CRASHING_RUN], capture_output=True, text=True, check=False
    )
    assert crashed.returncode == -signal.SIGKILL, crashed.stderr
    left = _directories_of(int(crashed.stdout))
    assert len(left) == 1
    orphans = _servers_in(left[0])
    assert orphans, "the crash should have left servers behind"

    with testing.test_servers():
        assert not left[0].exists()
    assert not any(_is_running(pid) for pid in orphans)


def test_a_living_run_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_BACKEND", "embedded")
    with testing.test_servers():
        before = _directories_of(os.getpid())
        assert before
        with testing.test_servers():
            assert all(directory.exists() for directory in before)


def test_a_port_in_use_is_not_called_free(servers: testing.TestServers) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not running.is_free(listener.getsockname()[1])
    assert running.is_free(running.free_port())


def test_a_private_directory_is_not_reachable_for_the_server(tmp_path: Path) -> None:
    nobody = ServerUser("nobody", 65534, 65534)
    (tmp_path / "closed").mkdir(mode=0o700)
    assert not is_reachable(tmp_path / "closed", nobody)
    assert is_reachable(tmp_path / "closed", None)


async def test_a_database_costs_little_time(fresh_database: testing.FreshDatabase) -> None:
    await fresh_database("payments")
    started = time.monotonic()
    await asyncio.gather(*(fresh_database("payments") for _ in range(3)))
    assert time.monotonic() - started < 3


def _directories_of(owner: int) -> list[Path]:
    found = []
    for directory in temporary_root(server_user()).glob(f"{testing.PREFIX}*"):
        record = directory / running.RECORD
        if record.exists() and f'"owner": {owner},' in record.read_text():
            found.append(directory)
    return found


def _servers_in(directory: Path) -> list[int]:
    known = json.loads((directory / running.RECORD).read_text())
    return [int(pid) for pid in known["processes"] if int(pid) != known["owner"]]


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
