"""Several generators make one load; one that is lost makes the run worthless, and it says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from platform_cli.embedded.running import free_port

if TYPE_CHECKING:
    import subprocess

    from tests.loadtests.conftest import Run

pytestmark = pytest.mark.timing

Toy = Callable[..., str]
Load = Callable[..., "Run"]
Worker = Callable[[int], "subprocess.Popen[bytes]"]
STAGES: dict[str, Any] = {"stages": [{"name": "calm", "rate": 40, "seconds": 3, "arrivals": "constant"}]}


def test_two_workers_send_the_plan_of_one(toy: Toy, load: Load, worker: Worker) -> None:
    port = free_port()
    workers = [worker(port) for _ in range(2)]
    run = load(toy(), "--workers", "2", "--port", str(port), **STAGES)
    assert run.code == 0, run.said
    assert run.summary["generator"]["generators"] == 2
    assert run.summary["generator"]["planned"] == run.summary["steps"]["pay"]["requests"] == 120
    assert run.summary["audit"]["acknowledged"] == run.summary["audit"]["payments"] == 120
    assert run.summary["locust"]["pay"]["requests"] == 120
    assert [process.wait(20) for process in workers] == [0, 0], "workers end with their master"


def test_a_worker_that_is_killed_makes_the_run_invalid(toy: Toy, load: Load, worker: Worker) -> None:
    port = free_port()
    victim, _ = worker(port), worker(port)

    def kill_when_it_pays() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not begun(victim):
            time.sleep(0.1)
        time.sleep(0.5)
        victim.kill()

    url = toy()
    assassin = threading.Thread(target=kill_when_it_pays)
    assassin.start()
    run = load(url, "--workers", "2", "--port", str(port), timeout_s=1, **STAGES)
    assassin.join()
    assert run.code == 3, run.said
    assert any(
        "1 of the load's workers were lost" in reason for reason in run.summary["generator"]["reasons"]
    )


def begun(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has a connection to the toy beside the one to its master."""
    connections = psutil.Process(process.pid).net_connections("tcp")
    return sum(one.status == "ESTABLISHED" for one in connections) > 1
