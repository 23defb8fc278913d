"""What the risk engine's tests share, on top of the real servers that the root conftest starts."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `risk_rig` is a module of the tests, not of the service

from risk_rig import KillableRedis, settings_for

from platform_cli.embedded.event_witness import EventWitness
from platform_cli.embedded.testing import FreshDatabase
from risk_engine.api.event_schemas import event_schemas
from risk_engine.operations.deps import Deps, open_deps
from risk_engine.settings import Settings


@pytest.fixture
async def risk_settings(fresh_database: FreshDatabase, clean_redis_url: str) -> AsyncIterator[Settings]:
    """Settings of one process on a new database and an empty Redis; what it tells keeps to its contract."""
    database = await fresh_database("risk")
    yield settings_for(database.app_url, clean_redis_url)
    assert await EventWitness(event_schemas()).faults_in(database.admin_url, "risk") == []


@pytest.fixture
async def deps(risk_settings: Settings) -> AsyncIterator[Deps]:
    """Opened dependencies with warm windows."""
    async with open_deps(risk_settings) as opened:
        await opened.features.mark_warm()
        yield opened


@pytest.fixture
def killable_redis(tmp_path: Path) -> Iterator[KillableRedis]:
    """A Redis of the test's own, started."""
    server = KillableRedis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def new_database(fresh_database: FreshDatabase) -> Callable[[], Awaitable[str]]:
    """Makes a new migrated database and gives the app role's URL."""

    async def make() -> str:
        return (await fresh_database("risk")).app_url

    return make
