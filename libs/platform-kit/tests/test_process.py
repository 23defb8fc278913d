"""A process ends when it is told, in order, and says so by its exit status."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time

import pytest

from platform_kit.process import sleep_unless

pytestmark = pytest.mark.timing

PROGRAM = """
import asyncio, sys
from platform_kit.process import run_until_signalled, sleep_unless

async def main(stop):
    print("up", type(asyncio.get_running_loop()).__module__, flush=True)
    {body}
    print("left in order", flush=True)

run_until_signalled(main)
"""


def started(body: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM.format(body=body)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up uvloop\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_the_main_function_to_stop(number: signal.Signals) -> None:
    process = started("await stop.wait()")
    process.send_signal(number)
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, b"left in order\n")


def test_a_second_signal_ends_what_does_not_stop() -> None:
    process = started("await asyncio.sleep(60)")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, b"")


def test_an_error_ends_the_process_with_a_status() -> None:
    process = started("raise ValueError")
    process.communicate(timeout=10)
    assert process.returncode == 1


async def test_sleeping_ends_at_the_time_or_at_the_stop() -> None:
    stop = asyncio.Event()
    assert not await sleep_unless(stop, 0.01)
    asyncio.get_running_loop().call_later(0.05, stop.set)
    started_s = time.monotonic()
    assert await sleep_unless(stop, 10)
    assert await sleep_unless(stop, 10)
    assert time.monotonic() - started_s < 1
