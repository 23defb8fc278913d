"""Real Postgres and Redis for every test of the workspace; nothing to install, nothing left running.

    from platform_cli.embedded.testing import FreshDatabase

    async def test_a_capture_is_kept(fresh_database: FreshDatabase, redis_url: str) -> None:
        database = await fresh_database("payments")      # or "risk", "pipeline", None
        engine = create_engine(...database.app_url...)   # also owner_url, admin_url, url("risk_app")

`fresh_database` makes a new migrated database per call (about 30 ms) and drops it after the test;
`database_factory` does the same for fixtures of a wider scope, without dropping.
TEST_BACKEND=containers runs the same tests on postgres:18 and redis:8 by testcontainers.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis

from platform_cli.embedded.testing import (
    DatabaseFactory,
    FreshDatabase,
    TestDatabase,
    TestServers,
    test_servers,
)

# How long an example takes depends on what else the machine does: time is measured by `make bench-*`, not here.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


@pytest.fixture(scope="session")
def servers() -> Iterator[TestServers]:
    """One Postgres and one Redis for the whole run."""
    with test_servers() as started:
        yield started


@pytest.fixture(scope="session")
def postgres_server(servers: TestServers) -> str:
    """URL of the server as superuser."""
    return servers.admin_url


@pytest.fixture(scope="session")
def redis_url(servers: TestServers) -> str:
    """URL of the one Redis: use keys of your own, or `clean_redis_url`."""
    return servers.redis_url


@pytest.fixture
async def clean_redis_url(redis_url: str) -> str:
    """The same Redis, emptied before the test."""
    async with Redis.from_url(redis_url) as client:
        await client.flushall()
    return redis_url


@pytest.fixture(scope="session")
def database_factory(postgres_server: str) -> DatabaseFactory:
    """Databases that live until the end of the run."""
    return DatabaseFactory(postgres_server)


@pytest.fixture
async def fresh_database(database_factory: DatabaseFactory) -> AsyncIterator[FreshDatabase]:
    """`await fresh_database("payments" | "risk" | "pipeline" | None)`: a new one, dropped after the test."""
    made: list[TestDatabase] = []

    async def create(service: str | None = "payments") -> TestDatabase:
        made.append(await database_factory.create(service))
        return made[-1]

    yield create
    for database in made:
        await database_factory.drop(database)
