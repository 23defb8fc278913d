"""`platform up`: servers, database, migrations, processes, readiness, a demo merchant, in this order."""

import asyncio
import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg
from sqlalchemy.engine import make_url

from platform_cli.embedded import databases, postgres, redis
from platform_cli.stack import supervision
from platform_cli.stack.backends import DATABASE, Backends, choose_backends
from platform_cli.stack.environment_file import write_environment_file
from platform_cli.stack.health import DidNotBecomeReady, wait_until_ready
from platform_cli.stack.merchant import Merchant, demo_merchant
from platform_cli.stack.operator import demo_operator
from platform_cli.stack.roles import PORT_NAMES, ROLES, SERVICES, Surroundings, program
from platform_cli.stack.state import State, write_private

GROUP = "platform"
SERVERS_READY_S = 60.0
MIGRATION_TIMEOUT_S = 120.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """A copy of the platform that answers."""

    state: State
    surroundings: Surroundings
    admin_url: str
    merchant: Merchant

    @property
    def gateway_url(self) -> str:
        return self.surroundings.url("gateway")


async def bring_up(
    state: State,
    say: Say,
    environ: Mapping[str, str] = os.environ,
    extra: Mapping[str, str] | None = None,
) -> Running:
    """Start everything that does not run yet and return when all of it is ready. `extra` goes into the environment of
    every process, over what the stack says."""
    state.prepare()
    with _alone(state):
        ports = state.known_ports() if supervision.is_running(state) else _fresh_ports(state)
        backends = choose_backends(state, ports, environ)
        surroundings = _surroundings(state, ports, backends, extra or {})
        if not supervision.is_running(state):
            _start_servers(state, backends, surroundings, say)
        say("waiting for Postgres and Redis")
        await _wait_for_servers(backends)
        say("creating roles and schemas")
        await _prepare_database(state, backends)
        say("migrating three schemas")
        await asyncio.gather(*(_migrate(surroundings, service.name) for service in SERVICES))
        say(f"starting {len(ROLES)} processes")
        _start_roles(state)
        await wait_until_ready(state, surroundings, say)
        say("setting up the demo merchant and the demo operator")
        merchant, _ = await asyncio.gather(
            demo_merchant(state, surroundings.url("gateway")), demo_operator(state, surroundings)
        )
        write_environment_file(state, surroundings, backends.admin_url, merchant)
    return Running(state, surroundings, backends.admin_url, merchant)


@contextmanager
def _alone(state: State) -> Iterator[None]:
    """One `up` at a time in a state directory; a second one waits and then finds everything running."""
    with (state.run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fresh_ports(state: State) -> dict[str, int]:
    supervision.stop_strays(state)  # of a supervisor that was killed: they would hold last time's ports
    return state.ports(PORT_NAMES)


def _surroundings(
    state: State, ports: dict[str, int], backends: Backends, extra: Mapping[str, str]
) -> Surroundings:
    passwords = state.role_passwords()
    for service in SERVICES:
        values = {
            "database_password": passwords[f"{service.schema}_app"],
            "migration_database_password": passwords[f"{service.schema}_owner"],
            "internal_token": state.secret("internal_token"),
            **({"redis_password": backends.redis_password} if backends.redis_password else {}),
            **{name: state.secret(name) for name in service.secrets},
            **{
                f"{schema}_{kind}_password": passwords[f"{schema}_{kind}"]
                for schema in service.further_schemas
                for kind in ("app", "owner")
            },
        }
        for name, value in values.items():
            write_private(state.secrets / service.name / name, value)
        (state.secrets / service.name).chmod(0o700)
    # Where `platform backup` puts them: the console's system page shows the last one.
    seen = {"BACKUPS_DIR": str(state.root / "backups"), **extra}
    return Surroundings(
        ports, backends.database, backends.redis_url, state.secrets, state.data / "channels", seen
    )


def _start_servers(state: State, backends: Backends, surroundings: Surroundings, say: Say) -> None:
    if any(server.name == "postgres" for server in backends.programs):
        say("initialising Postgres")
        postgres.initialise(state.data / "postgres", state.secret("postgres_password"))
    roles = [
        supervision.Program(
            role.name,
            [program(role.service.program), role.command],
            surroundings.environment(role),
            order=10,
            group=GROUP,
        )
        for role in ROLES
    ]
    say("starting the supervisor")
    supervision.start(state, [*backends.programs, *roles])


async def _wait_for_servers(backends: Backends) -> None:
    maintenance = databases.url_for(backends.admin_url, "postgres")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SERVERS_READY_S
    own_redis = any(server.name == "redis" for server in backends.programs)
    while True:
        try:
            await (await asyncpg.connect(maintenance, timeout=5)).close()
            if not own_redis or redis.is_ready(make_url(backends.redis_url).port or 0):
                return
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            if loop.time() > deadline:
                raise DidNotBecomeReady(f"Postgres does not answer: {error}") from error
        await asyncio.sleep(0.1)


async def _prepare_database(state: State, backends: Backends) -> None:
    maintenance = databases.url_for(backends.admin_url, "postgres")
    name = make_url(backends.admin_url).database or DATABASE
    await databases.ensure_database(maintenance, name)
    await databases.apply_roles(maintenance, name, state.role_passwords())


async def _migrate(surroundings: Surroundings, service_name: str) -> None:
    service = next(service for service in SERVICES if service.name == service_name)
    process = await asyncio.create_subprocess_exec(
        program(service.program),
        "migrate",
        env=surroundings.service_environment(service),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), MIGRATION_TIMEOUT_S)
    if process.returncode:
        raise DidNotBecomeReady(
            f"{service.program} migrate failed:\n{output.decode(errors='replace')[-3000:]}"
        )


def _start_roles(state: State) -> None:
    stopped = {
        status.name for status in supervision.statuses(state) if status.state not in {"RUNNING", "STARTING"}
    }
    for role in ROLES:
        if role.name in stopped:
            supervision.start_program(state, role.name, GROUP)
