"""The local stack as a newcomer uses it: up, pay, the stories, kill -9, down and up again, the demo, nothing left.

One copy of the platform on free ports in a directory of its own, driven by the same command line as `make up`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from platform_cli.stack.environment_file import read_environment_file
from platform_cli.stack.roles import ROLES
from platform_cli.stack.state import State, clone
from platform_cli.stack.supervision import MARK

pytestmark = pytest.mark.timing

PLATFORM = str(Path(sys.executable).with_name("platform"))
FOREIGN = ("DATABASE_URL", "REDIS_URL", "GATEWAY_URL")  # of another copy whose env file was sourced


@dataclass(frozen=True)
class Copy:
    """A running copy and how to command it."""

    state: State

    def platform(self, *arguments: str, timeout_s: float = 180) -> subprocess.CompletedProcess[str]:
        """Run `platform ...` on this copy."""
        return run([PLATFORM, *arguments], self.environment(), timeout_s)

    def environment(self) -> dict[str, str]:
        """The environment of a shell that sourced the copy's env file."""
        inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
        own = read_environment_file(self.state.environment_file)
        own.pop("DATABASE_URL", None)
        return {**inherited, **own, "PLATFORM_STATE": str(self.state.root)}

    def processes(self) -> dict[str, dict[str, Any]]:
        return {row["role"]: row for row in json.loads(self.platform("ps", "--json").stdout)}


def run(
    command: list[str], environment: dict[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, cwd=clone(), capture_output=True, text=True, timeout=timeout_s, check=False
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Copy]:
    made = Copy(State(tmp_path_factory.mktemp("stack") / "state"))
    try:
        up = made.platform("up")
        assert up.returncode == 0, up.stdout + up.stderr
        yield made
    finally:
        made.platform("reset")


def stories(copy: Copy, *arguments: str, timeout_s: float) -> None:
    """The HTTP suite against this copy, in a process of its own as `make e2e` runs it."""
    command = [sys.executable, "-m", "pytest", "-q", "--durations=0", "-p", "no:cacheprovider"]
    done = run([*command, *arguments], copy.environment(), timeout_s)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout.splitlines()[-1], done.stdout[-2000:]


def marked(copy: Copy) -> list[int]:
    """Processes that belong to the copy, watched or not."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == copy.state.tag:
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def test_every_process_is_shown_ready(copy: Copy) -> None:
    processes = copy.processes()
    assert set(processes) == {*(role.name for role in ROLES), "postgres", "redis"}
    assert {row["health"] for row in processes.values()} == {"ready"}
    assert len({row["port"] for row in processes.values()}) == len(processes)


def test_the_env_file_is_private_and_has_what_outside_tools_need(copy: Copy) -> None:
    assert copy.state.environment_file.stat().st_mode & 0o077 == 0
    for name in ("GATEWAY_URL", "RISK_URL", "PIPELINE_URL", "CONSOLE_URL", "DEMO_API_KEY", "ADMIN_API_KEY"):
        assert read_environment_file(copy.state.environment_file)[name]


@pytest.mark.timeout(420)
def test_the_stories_hold(copy: Copy) -> None:
    stories(copy, "tests/e2e", "--ignore", "tests/e2e/test_kill.py", timeout_s=400)


@pytest.mark.timeout(1000)
def test_kill_9_of_any_process_loses_nothing(copy: Copy) -> None:
    stories(copy, "tests/e2e/test_kill.py", "-p", "no:randomly", timeout_s=980)


@pytest.mark.timeout(420)
def test_data_survives_down_and_up_and_nothing_runs_in_between(copy: Copy) -> None:
    before = read_environment_file(copy.state.environment_file)
    assert copy.platform("verify-ledger").returncode == 0
    assert copy.platform("down").returncode == 0
    assert marked(copy) == []
    assert copy.platform("ps").returncode == 1

    up = copy.platform("up")
    assert up.returncode == 0, up.stdout + up.stderr
    after = read_environment_file(copy.state.environment_file)
    assert after["DEMO_API_KEY"] == before["DEMO_API_KEY"]
    assert copy.platform("verify-ledger").returncode == 0


@pytest.mark.timeout(420)
def test_the_demo_proves_itself_and_leaves_nothing_behind(copy: Copy) -> None:
    running = set(marked(copy))
    done = copy.platform("demo", timeout_s=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ledger balanced" in done.stdout
    assert "0 lost, 0 doubled" in done.stdout
    assert set(marked(copy)) == running, "the demo disturbed the copy beside it"
