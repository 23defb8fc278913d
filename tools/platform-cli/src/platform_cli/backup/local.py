"""Backups and restores of the copy that runs on this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from redis import Redis

from platform_cli.backup import scripts
from platform_cli.backup.scripts import Database
from platform_cli.stack import supervision
from platform_cli.stack.backends import Backends, choose_backends
from platform_cli.stack.bring_up import GROUP, bring_up
from platform_cli.stack.state import State


def backups_of(state: State) -> Path:
    """Beside the data, not below it: `make reset` wipes that."""
    return state.root / "backups"


def back_up(state: State, directory: Path | None = None, keep: int | None = None) -> str:
    """Take a backup of what runs. Raises supervision.NotRunning, BackupFailed."""
    return scripts.take(Database.at(_running(state).admin_url), directory or backups_of(state), keep)


def drill(state: State, directory: Path | None, name: str | None) -> str:
    """Restore into a database beside the live one, compare, drop it. Raises as `back_up`."""
    return scripts.bring_back(Database.at(_running(state).admin_url), directory or backups_of(state), name)


def restore(state: State, directory: Path | None, name: str | None, say: Callable[[str], None]) -> str:
    """Put a backup in the place of the live database, with every process stopped meanwhile. Raises as `back_up`.

    Redis is emptied: what it holds was made from the database that is gone, and is made again from this one.
    """
    backends = _running(state)
    place = directory or backups_of(state)
    found = scripts.find(place, name)  # before anything is stopped for it
    say("stopping the processes")
    supervision.client(state).stopProcessGroup(GROUP)
    try:
        say("restoring and comparing")
        said = scripts.bring_back(Database.at(backends.admin_url), place, found, replace=True)
        with Redis.from_url(backends.redis_url, password=backends.redis_password) as redis:
            redis.flushdb()
    finally:
        say("starting them again")
        asyncio.run(bring_up(state, lambda _: None))
    return said


def _running(state: State) -> Backends:
    if not supervision.is_running(state):
        raise supervision.NotRunning(
            f"nothing runs in {state.root}: `make up`, or --cluster for one on Kubernetes"
        )
    return choose_backends(state, state.known_ports(), os.environ)
