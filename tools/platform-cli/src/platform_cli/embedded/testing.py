"""Servers and databases for tests: embedded by default, containers with TEST_BACKEND=containers.

The root `conftest.py` makes fixtures of these; nothing here knows pytest.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from sqlalchemy.engine import make_url

from platform_cli.embedded import databases, postgres, redis, running
from platform_cli.embedded.roles import ROLES
from platform_cli.embedded.unprivileged import server_user

PREFIX = "platform-tests-"
SERVICES = {
    "payments": "payment_gateway",
    "risk": "risk_engine",
    "pipeline": "data_pipeline",
}  # schema: package
ADMIN_PASSWORD = "admin-test"  # noqa: S105 - throw-away servers on loopback
PASSWORDS = {role: f"{role}-test" for role in ROLES}


@dataclass(frozen=True, slots=True)
class TestServers:
    """Where the tests' Postgres (as superuser) and Redis answer."""

    __test__ = False  # not a test class

    admin_url: str
    redis_url: str


@dataclass(frozen=True, slots=True)
class TestDatabase:
    """One new database. The URLs carry their passwords and have the form `postgresql://user:password@host:port/name`."""

    __test__ = False

    name: str
    owner_url: str
    app_url: str
    admin_url: str

    def url(self, role: str) -> str:
        """The same database as another role, e.g. `risk_app`, to see that it is refused."""
        return databases.url_for(self.admin_url, self.name, role, PASSWORDS[role])


FreshDatabase = Callable[..., Awaitable[TestDatabase]]


def backend() -> str:
    """`embedded` or `containers`; anything else is a mistake worth a loud stop."""
    chosen = os.environ.get("TEST_BACKEND", "embedded")
    if chosen not in {"embedded", "containers"}:
        raise ValueError(f"TEST_BACKEND={chosen}: use embedded or containers")
    return chosen


@contextlib.contextmanager
def test_servers(*, durable: bool = False) -> Iterator[TestServers]:  # noqa: PT028 - not a test
    """Postgres and Redis for one test run, stopped at its end; what a crashed run left is stopped first.

    `durable` has the embedded Postgres write as it does in production: benchmarks need the truth, tests the speed.
    """
    with _containers() if backend() == "containers" else _embedded(durable) as servers:
        yield servers


@contextlib.contextmanager
def _embedded(durable: bool) -> Iterator[TestServers]:
    user = server_user()
    running.remove_stale(PREFIX, user)
    directory = running.make_directory(PREFIX, user)
    started: list[running.RunningServer] = []
    try:
        started.append(
            postgres.start(directory, ADMIN_PASSWORD, postgres.DURABLE if durable else postgres.VOLATILE)
        )
        running.record(directory, [server.pid for server in started])
        started.append(redis.start(directory))
        running.record(directory, [server.pid for server in started])
        yield TestServers(started[0].url, started[1].url)
    finally:
        for server in started:
            server.stop(postgres.STOP_NOW if server.name == "postgres" else signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _containers() -> Iterator[TestServers]:
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.community.redis import RedisContainer

    volatile = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
    database = PostgresContainer(
        "postgres:18", username="postgres", password=ADMIN_PASSWORD, dbname="postgres", driver=None
    )
    with database.with_command(f"postgres {volatile}"), RedisContainer("redis:8") as cache:
        host, port = cache.get_container_host_ip(), cache.get_exposed_port(6379)
        yield TestServers(database.get_connection_url(), f"redis://{host}:{port}/0")


@dataclass(slots=True)
class DatabaseFactory:
    """Makes databases, each migrated once into a template and copied from it afterwards."""

    admin_url: str
    _templates: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    async def create(self, service: str | None = "payments") -> TestDatabase:
        """A new database for `payments`, `risk` or `pipeline`; None: no tables, superuser URLs."""
        if service is not None and service not in SERVICES:
            raise ValueError(f"{service}: use one of {', '.join(SERVICES)} or None")
        template = await self._template(service)
        name = f"test_{service or 'plain'}_{next(self._numbers)}"
        await databases.create_database(self.admin_url, name, template)
        admin_url = databases.url_for(self.admin_url, name)
        if service is None:
            return TestDatabase(name, admin_url, admin_url, admin_url)
        owner, app = (
            databases.url_for(self.admin_url, name, role, PASSWORDS[role])
            for role in (f"{service}_owner", f"{service}_app")
        )
        return TestDatabase(name, owner, app, admin_url)

    async def drop(self, database: TestDatabase) -> None:
        """Remove it, connections included: 8 MB each would fill a small disk."""
        await databases.drop_database(self.admin_url, database.name)

    async def _template(self, service: str | None) -> str:
        key = service or "plain"
        if key not in self._templates:
            self._templates[key] = await self._make_template(key, service)
        return self._templates[key]

    async def _make_template(self, key: str, service: str | None) -> str:
        name = f"template_{key}"
        await databases.drop_database(self.admin_url, name)  # half made by a migration that failed
        await databases.create_database(self.admin_url, name)
        await databases.apply_roles(self.admin_url, name, PASSWORDS)
        if service is not None:
            role = f"{service}_owner"
            await _migrate(databases.url_for(self.admin_url, name, role, PASSWORDS[role]), service)
        if service == "payments":
            await _migrate_vault(
                databases.url_for(self.admin_url, name, "vault_owner", PASSWORDS["vault_owner"])
            )
        return name


async def _migrate(owner_url: str, service: str) -> None:
    """Run the service's migrations as its schema's owner; a service without any has an empty schema."""
    package = SERVICES[service]
    if importlib.util.find_spec(f"{package}.store.migrations.env") is None:
        return
    from platform_kit.migrations import upgrade

    await upgrade(make_url(owner_url).set(drivername="postgresql+asyncpg"), package, service)


async def _migrate_vault(owner_url: str) -> None:
    """The gateway's second schema, as its own owner."""
    from platform_kit.migrations import upgrade

    url = make_url(owner_url).set(drivername="postgresql+asyncpg")
    await upgrade(url, "payment_gateway.store.vault:migrations", "vault")
