"""The four commands as real processes: they start, say when they are ready, survive a kill, leave in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from pipeline_rig import TOKEN, World, rollup_differences, rows, scalar
from seeded_day import simulate
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.clients.event_sources import PAYMENTS
from platform_cli.embedded.running import free_port
from platform_cli.embedded.testing import FreshDatabase, TestDatabase
from platform_kit.redis import create_redis

pytestmark = pytest.mark.timing

PROGRAM = str(Path(sys.executable).parent / "data-pipeline")
READY_MAX_S = 60.0


@pytest.fixture
def environment(database: TestDatabase, world: World, clean_redis_url: str) -> dict[str, str]:
    """What a process of this service reads, and nothing of this machine's."""
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database.app_url,
        "MIGRATION_DATABASE_URL": database.owner_url,
        "REDIS_URL": clean_redis_url,
        "GATEWAY_URL": f"{world.url}/gateway",
        "RISK_URL": f"{world.url}/risk",
        "CHANNELS_URL": f"{world.url}/channels",
        "INTERNAL_TOKEN": TOKEN,
        "RECONCILE_EVERY_S": "5",
        "RECONCILE_SETTLE_S": "0",
        "HEAD_CHECK_EVERY_S": "0.2",
    }


@asynccontextmanager
async def running(
    command: str, environment: dict[str, str], ready_max_s: float = READY_MAX_S
) -> AsyncIterator[tuple[Process, str]]:
    """A process that is ready, and the URL of its doors; killed at the end if it still runs."""
    port = free_port()
    ports = {"PORT": str(port)} if command == "api" else {"OPS_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        PROGRAM, command, env=environment | ports, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await eventually(lambda: _is_ready(f"http://127.0.0.1:{port}/health/ready"), ready_max_s)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _is_ready(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def eventually(holds: Callable[[], Awaitable[Any]], timeout_s: float = READY_MAX_S) -> None:
    for _ in range(int(timeout_s / 0.1)):
        if await holds():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not happen in time")


async def leaves_in_order(process: Process) -> int:
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(40):
        return await process.wait()


async def test_migrate_makes_the_schema_and_the_api_is_ready_only_then(
    fresh_database: FreshDatabase, environment: dict[str, str]
) -> None:
    empty = await fresh_database(None)
    environment |= {
        "DATABASE_URL": empty.url("pipeline_app"),
        "MIGRATION_DATABASE_URL": empty.url("pipeline_owner"),
    }
    with pytest.raises(AssertionError, match="did not happen"):
        async with running("api", environment, ready_max_s=5):
            pass
    migrate = await asyncio.create_subprocess_exec(PROGRAM, "migrate", env=environment)
    assert await migrate.wait() == 0
    async with running("api", environment) as (process, url):
        async with aiohttp.ClientSession() as session, session.get(f"{url}/version") as answer:
            assert (await answer.json(content_type=None))["service"] == "data-pipeline"
        assert await leaves_in_order(process) == 0


async def test_a_consumer_that_is_killed_goes_on_where_it_was(
    environment: dict[str, str], engine: AsyncEngine, world: World
) -> None:
    told = simulate(datetime.now(UTC), count=150).payments
    world.events["gateway"] = told
    async with create_redis(environment["REDIS_URL"]) as redis:
        for event in told:
            raw = orjson.dumps(event.envelope())
            await redis.xadd(PAYMENTS, {"position": event.position or 0, "event": raw})

    async with running("consumer", environment) as (process, _):
        await eventually(lambda: scalar(engine, "SELECT count(*) > 0 FROM pipeline.stored_event"))
        process.kill()
        await process.wait()
    async with running("consumer", environment) as (process, _):
        done = f"SELECT count(*) = {len(told)} FROM pipeline.stored_event"
        await eventually(lambda: scalar(engine, done))
        assert await leaves_in_order(process) == 0
    assert await rollup_differences(engine) == []
    moved = sum(
        transfer["amount_minor"]
        for event in told
        for transfer in (event.data["journal"] or {"transfers": []})["transfers"]
    )
    assert await scalar(engine, "SELECT sum(amount_minor) FROM pipeline.fact_transfer") == moved


async def test_the_worker_reconciles_by_itself(environment: dict[str, str], engine: AsyncEngine) -> None:
    async with running("worker", environment) as (process, _):
        await eventually(lambda: scalar(engine, "SELECT count(*) >= 4 FROM pipeline.reconciliation_run"))
        assert await leaves_in_order(process) == 0
    assert {row["state"] for row in await rows(engine, "reconciliation_run")} == {"balanced"}
