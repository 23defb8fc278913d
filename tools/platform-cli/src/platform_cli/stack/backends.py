"""Which Postgres and Redis a copy uses: embedded ones, or the servers of DATABASE_URL and REDIS_URL."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from platform_cli.embedded import postgres, redis
from platform_cli.embedded.unprivileged import server_user
from platform_cli.stack.roles import LOOPBACK
from platform_cli.stack.state import State
from platform_cli.stack.supervision import Program

DATABASE = "platform"


@dataclass(frozen=True, slots=True)
class Backends:
    """Where the data lives. `programs` are the servers that we run ourselves."""

    admin_url: str  # as a role that may create roles and databases
    redis_url: str  # without our own password
    redis_password: str | None
    programs: tuple[Program, ...]

    @property
    def database(self) -> str:
        """host:port/name, for the services' URLs."""
        from sqlalchemy.engine import make_url  # here: it takes a second to import

        url = make_url(self.admin_url)
        return f"{url.host}:{url.port or 5432}/{url.database or DATABASE}"

    @property
    def is_external(self) -> bool:
        return not self.programs


def choose_backends(
    state: State, ports: Mapping[str, int], environ: Mapping[str, str] = os.environ
) -> Backends:
    """Embedded servers, unless the environment names others; each of the two is chosen for itself."""
    programs: list[Program] = []
    admin_url = foreign_url(state, environ.get("DATABASE_URL"), "postgres")
    if admin_url is None:
        admin_url = embedded_admin_url(state, ports["postgres"])
        programs.append(_postgres_program(state, ports["postgres"]))
    redis_url, redis_password = foreign_url(state, environ.get("REDIS_URL"), "redis"), None
    if redis_url is None:
        redis_url, redis_password = redis.url(ports["redis"]), state.secret("redis_password")
        programs.append(_redis_program(state, ports["redis"], redis_password))
    return Backends(admin_url, redis_url, redis_password, tuple(programs))


def foreign_url(state: State, url: str | None, server: str) -> str | None:
    """`url` unless it is our own server's: after `source .platform/env` it stands in the environment, too."""
    if not url:
        return None
    from sqlalchemy.engine import make_url  # here: it takes a second to import

    parsed = make_url(url)
    is_ours = parsed.host == LOOPBACK and parsed.port == state.known_ports().get(server)
    return None if is_ours and (state.data / server).exists() else url


def embedded_admin_url(state: State, port: int) -> str:
    """The embedded server's superuser in the platform's database."""
    password = state.secret("postgres_password")
    return f"postgresql://{postgres.SUPERUSER}:{password}@{LOOPBACK}:{port}/{DATABASE}"


def _postgres_program(state: State, port: int) -> Program:
    user = server_user()
    return Program(
        name="postgres",
        argv=postgres.command(state.data / "postgres", port, postgres.DURABLE),
        environment=postgres.environment(),
        order=1,
        is_started_at_once=True,
        stop_signal=postgres.STOP_FAST.name.removeprefix("SIG"),
        account=user.name if user else None,
    )


def _redis_program(state: State, port: int, password: str) -> Program:
    return Program(
        name="redis",
        argv=redis.configure(state.data / "redis", port, password, is_durable=True),
        environment={},
        order=1,
        is_started_at_once=True,
        stop_signal=redis.STOP.name.removeprefix("SIG"),
    )
