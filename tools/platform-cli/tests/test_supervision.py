"""The supervisor restarts what dies, keeps secrets to itself, and leaves nothing behind."""

import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from platform_cli.embedded import postgres, redis
from platform_cli.embedded.unprivileged import server_user
from platform_cli.stack import supervision
from platform_cli.stack.backends import choose_backends, foreign_url
from platform_cli.stack.ports import choose_port
from platform_cli.stack.state import State

pytestmark = pytest.mark.timing

Found = TypeVar("Found")
SLEEPER = supervision.Program("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], {}, 5, True)
CRASHER = supervision.Program("crasher", [sys.executable, "-c", "raise SystemExit(3)"], {}, 5, True)


@pytest.fixture
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    made = State(
        tmp_path_factory.mktemp("a rather long and spacious name for a state directory 100%") / "state"
    )
    made.prepare()
    yield made
    supervision.stop(made)
    made.wipe()


def test_a_killed_process_comes_back_and_the_restart_is_counted(state: State) -> None:
    supervision.start(state, [SLEEPER])
    first = eventually(lambda: running(state, "sleeper"))
    os.kill(first.pid, signal.SIGKILL)
    second = eventually(lambda: running(state, "sleeper", other_than=first.pid))
    assert second.restarts == 1


def test_a_process_that_cannot_start_is_tried_again_ever_more_slowly(state: State) -> None:
    supervision.start(state, [CRASHER])
    eventually(lambda: next((s for s in supervision.statuses(state) if s.restarts >= 2), None))
    assert [s.state for s in supervision.statuses(state)] in (["BACKOFF"], ["STARTING"])
    assert next(iter(supervision.statuses(state))).restarts < 4


def test_the_control_socket_and_the_configuration_are_private(state: State) -> None:
    supervision.start(state, [SLEEPER])
    for file in (state.socket, state.run / "supervisord.conf"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_stop_ends_everything_also_what_a_killed_supervisor_left(state: State) -> None:
    supervision.start(state, [SLEEPER])
    orphan = eventually(lambda: running(state, "sleeper")).pid
    os.kill(supervision.client(state).getPID(), signal.SIGKILL)
    eventually(lambda: not supervision.is_running(state))
    assert psutil.pid_exists(orphan)
    supervision.stop(state)
    assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE


def test_postgres_and_redis_come_back_after_kill_9_with_their_data(state: State) -> None:
    ports = state.ports(("postgres", "redis"))
    backends = choose_backends(state, ports, environ={})
    postgres.initialise(state.data / "postgres", state.secret("postgres_password"))
    supervision.start(state, backends.programs)
    for name in ("postgres", "redis"):
        first = eventually(partial(running, state, name))
        os.kill(first.pid, signal.SIGKILL)
        second = eventually(partial(running, state, name, other_than=first.pid), seconds=20)
        assert second.pid != first.pid
    eventually(lambda: redis.is_ready(ports["redis"]))
    pid = eventually(lambda: running(state, "postgres")).pid
    eventually(lambda: postgres.is_ready(state.data / "postgres", pid), seconds=20)


def test_our_own_url_in_the_environment_is_not_taken_for_a_foreign_server(state: State) -> None:
    port = state.ports(("postgres",))["postgres"]
    (state.data / "postgres").mkdir()
    assert foreign_url(state, f"postgresql://postgres:x@127.0.0.1:{port}/platform", "postgres") is None
    elsewhere = "postgresql://me:x@db.example:5432/payments"
    assert foreign_url(state, elsewhere, "postgres") == elsewhere
    assert foreign_url(state, None, "postgres") is None


def test_ports_are_remembered_unless_somebody_took_them(state: State) -> None:
    first = state.ports(("gateway", "other"))
    assert state.ports(("gateway", "other")) == first
    with socket.socket() as intruder:
        intruder.bind(("127.0.0.1", first["other"]))
        intruder.listen()
        second = state.ports(("gateway", "other"))
    assert second["gateway"] == first["gateway"]
    assert second["other"] != first["other"]


def test_copies_that_start_at_the_same_moment_do_not_choose_the_same_port(
    state: State, tmp_path: Path
) -> None:
    other = State(tmp_path / "another")
    other.prepare()
    ours, theirs = state.ports(("one", "two")), other.ports(("one", "two"))
    port = ours["one"]
    assert choose_port(other.root, [port]) != port
    assert choose_port(state.root, [port]) == port
    assert not set(ours.values()) & set(theirs.values())
    other.wipe()


def test_secrets_are_random_kept_and_private(state: State, tmp_path: Path) -> None:
    other = State(tmp_path / "another")
    other.prepare()
    assert state.secret("internal_token") == state.secret("internal_token") != other.secret("internal_token")
    other.wipe()
    assert stat.S_IMODE((state.secrets / "internal_token").stat().st_mode) == 0o600
    assert state.secret("channel_secret").startswith("whsec_")


def test_the_server_account_reaches_its_data_even_below_a_private_directory(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    state = State(closed / "clone" / ".platform")
    if server_user() is None:
        assert state.data == state.root / "data"
    else:
        assert closed not in state.data.parents


def running(state: State, name: str, other_than: int = 0) -> supervision.Status | None:
    found = (s for s in supervision.statuses(state) if s.name == name and s.state == "RUNNING")
    return next((status for status in found if status.pid != other_than), None)


def eventually(look: Callable[[], Found | None], seconds: float = 12) -> Found:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
    return found
