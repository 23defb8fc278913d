"""What the local stack needs from a machine, checked one by one with what to do about it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from platform_cli.embedded import postgres, redis
from platform_cli.embedded.running import is_free
from platform_cli.embedded.unprivileged import server_user, temporary_root
from platform_cli.stack import supervision
from platform_cli.stack.roles import SERVICES, program
from platform_cli.stack.state import PREFERRED_PORTS, State

DISK_MIN_BYTES = 1_000_000_000  # a fresh stack takes 0.2 GB; a day of load tests more
OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and what it found."""

    what: str
    is_ok: bool
    detail: str


def diagnose(state: State) -> list[Finding]:
    """All checks; none of them changes anything."""
    return [
        Finding("Python", sys.version_info >= OLDEST_PYTHON, sys.version.split()[0]),
        _runs("Postgres server", str(postgres.program_directory(server_user()) / "postgres"), "--version"),
        _runs("Redis server", redis.program(), "--version"),
        *(_runs(service.program, program(service.program), "--help") for service in SERVICES),
        Finding("server account", True, "nobody" if server_user() else f"uid {os.geteuid()}, yours"),
        Finding("temporary directory", True, str(temporary_root(server_user()))),
        _disk(state),
        _ports(state),
        _is_up(state),
    ]


def _runs(what: str, executable: str, argument: str) -> Finding:
    try:
        done = subprocess.run([executable, argument], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(what, False, f"{error}; `make bootstrap` installs it")
    first_line = (done.stdout or done.stderr).strip().splitlines()[:1]
    detail = " ".join(first_line) if argument == "--version" else executable
    return Finding(what, done.returncode == 0, detail)


def _disk(state: State) -> Finding:
    place = next(place for place in (state.data, *state.data.parents) if place.exists())
    free = shutil.disk_usage(place).free
    return Finding("disk", free >= DISK_MIN_BYTES, f"{free / 1e9:.1f} GB free at {place}")


def _ports(state: State) -> Finding:
    if supervision.is_running(state):
        return Finding("ports", True, "in use by this copy")
    taken = [f"{port} ({name})" for name, port in PREFERRED_PORTS.items() if not is_free(port)]
    return Finding("ports", True, f"taken: {', '.join(taken)}; others will be used" if taken else "all free")


def _is_up(state: State) -> Finding:
    return Finding("running", True, "yes" if supervision.is_running(state) else "no (`make up`)")
