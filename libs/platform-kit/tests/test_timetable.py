"""Ticks of periodic jobs, without a database: who runs, when, and how many at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from platform_kit import tasks
from platform_kit.task_worker import Periodic, Timetable

EVERY_S = 0.02


@tasks.async_task("test.quick")
async def quick(deps: Any) -> None: ...


@tasks.async_task("test.long")
async def long(deps: Any) -> None: ...


class Runs:
    """Counts runs by job; those of `long` last until they are let go."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.most_at_once = 0
        self.let_go = asyncio.Event()

    async def __call__(self, job: Periodic) -> None:
        name = job.task.name
        self.begun[name] += 1
        self.most_at_once = max(self.most_at_once, self.begun.total() - self.ended.total())
        if name == "test.long":
            await self.let_go.wait()
        self.ended[name] += 1


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - a count, not an event
            await asyncio.sleep(EVERY_S)


JOBS = [tasks.periodic(quick, EVERY_S), tasks.periodic(long, EVERY_S)]


async def test_a_job_that_runs_long_holds_up_neither_its_next_slots_nor_others() -> None:
    runs = Runs()
    async with Timetable(runs, JOBS, at_once_max=100):
        await until(lambda: min(runs.begun["test.long"], runs.begun["test.quick"]) > 2)
        runs.let_go.set()


async def test_no_more_run_at_once_than_there_is_room_for_and_one_tick_of_a_job_waits() -> None:
    runs = Runs()
    async with Timetable(runs, JOBS, at_once_max=3):
        await asyncio.sleep(20 * EVERY_S)
        assert runs.most_at_once == 3
        under_way = runs.begun["test.long"]
        runs.let_go.set()
    assert under_way == 3
    assert runs.begun["test.long"] <= under_way + 2, "one that waited, and perhaps one of since"


async def test_whoever_leaves_waits_for_what_runs_and_lets_nothing_begin() -> None:
    runs = Runs()
    timetable = Timetable(runs, [JOBS[1]], at_once_max=100)
    async with timetable:
        await asyncio.sleep(3 * EVERY_S)
        timetable.stop()
        begun = runs.begun["test.long"]
        await asyncio.sleep(5 * EVERY_S)
        assert runs.begun["test.long"] == begun
        asyncio.get_running_loop().call_later(0.05, runs.let_go.set)
    assert runs.ended["test.long"] == begun > 0


async def test_what_waits_for_room_does_not_begin_once_no_more_is_wanted() -> None:
    """It would begin when what runs is cut off, and nothing would cut it off itself."""
    runs = Runs()
    timetable = Timetable(runs, [JOBS[1]], at_once_max=1)
    async with timetable:
        await until(lambda: runs.begun["test.long"] == 1)
        await asyncio.sleep(5 * EVERY_S)
        timetable.stop()
        runs.let_go.set()
    assert (runs.begun["test.long"], runs.ended["test.long"]) == (1, 1)


async def test_a_run_that_fails_stops_no_clock() -> None:
    failures = 0

    async def fail(job: Periodic) -> None:
        nonlocal failures
        failures += 1
        raise RuntimeError

    async with Timetable(fail, [JOBS[0]], at_once_max=1):
        await until(lambda: failures > 2)
