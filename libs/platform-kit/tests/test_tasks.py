"""Tasks run once per slot, survive the broker, and end in order. The broker and the worker are real."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import a_worker
import aiohttp
import orjson
import pytest
from event_rig import JOB_RUN, OwnRedis, Rig, eventually
from sqlalchemy import text

from platform_kit import tasks, telemetry

pytestmark = pytest.mark.timing

AN_AGE_S = 1e9  # a slot that no test outlives


class WorkerProcess:
    """`a_worker.py` in a process of its own."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._log = log
        self.ops_url = f"http://127.0.0.1:{environment['OPS_PORT']}"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(Path(a_worker.__file__))],
                env=os.environ | environment,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def lines(self) -> list[dict[str, Any]]:
        rows = self._log.read_bytes().splitlines()
        return [orjson.loads(row) for row in rows if row.startswith(b"{")]

    async def ended(self, timeout_s: float = 20) -> int:
        return await asyncio.to_thread(self.process.wait, timeout_s)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def environment(rig: Rig, own_redis: OwnRedis, unused_tcp_port: int) -> dict[str, str]:
    return {
        "DATABASE_URL": rig.engine.url.render_as_string(hide_password=False).replace("+asyncpg", ""),
        "REDIS_URL": own_redis.url,
        "OPS_PORT": str(unused_tcp_port),
    }


@pytest.fixture
def settings(environment: dict[str, str]) -> a_worker.WorkerSettings:
    return a_worker.WorkerSettings(
        database_url=environment["DATABASE_URL"], redis_url=environment["REDIS_URL"]
    )


@pytest.fixture
def app(settings: a_worker.WorkerSettings) -> Iterator[tasks.PlatformCelery]:
    """The producer's side."""
    made = a_worker.make(settings)
    yield made
    made.close()


@pytest.fixture
async def worker(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[WorkerProcess]:
    started = WorkerProcess(environment, tmp_path / "worker.log")
    yield started
    started.kill()


async def test_a_task_runs_with_its_arguments_its_trace_and_one_line(
    rig: Rig, app: tasks.PlatformCelery, worker: WorkerProcess
) -> None:
    traceparent = telemetry.new_traceparent()
    with telemetry.span("request", traceparent=traceparent):
        assert await tasks.enqueue(app, a_worker.note_it, what="hello")
        assert await tasks.enqueue(app, a_worker.note_trace)

    await eventually(lambda: _noted(rig, "hello", traceparent), timeout_s=30)

    async def told() -> list[dict[str, Any]]:  # after its effect, and the line has a way of its own
        return [line for line in worker.lines() if line.get("task") == "test.note"]

    await eventually(told, timeout_s=30)
    (line,) = await told()
    assert (line["event"], line["outcome"], line["what"]) == ("task", "ok", "hello")
    assert line["trace_id"] == traceparent[3:35]


async def _noted(rig: Rig, *what: str) -> bool:
    return set(what) <= set(await rig.noted())


async def test_a_killed_broker_stops_no_schedule_and_is_consumed_from_again_when_it_comes_back(
    rig: Rig, app: tasks.PlatformCelery, worker: WorkerProcess, own_redis: OwnRedis
) -> None:
    await tasks.enqueue(app, a_worker.note_it, what="before")
    await eventually(lambda: _noted(rig, "before"), timeout_s=30)

    own_redis.kill()
    started = time.monotonic()
    assert not await tasks.enqueue(app, a_worker.note_it, what="lost")
    assert time.monotonic() - started < 3, "a request would have waited for a dead broker"
    ticks = (await rig.noted()).count("tick")

    async def ticks_on() -> bool:
        return (await rig.noted()).count("tick") > ticks + 1

    await eventually(ticks_on, timeout_s=30, what="the schedule without a broker")
    own_redis.start()

    async def runs_again() -> bool:
        await tasks.enqueue(app, a_worker.note_it, what="after")
        await asyncio.sleep(0.3)
        return await _noted(rig, "after")

    await eventually(runs_again, timeout_s=30, what="consumption after the broker's restart")


async def test_a_frozen_broker_does_not_hold_the_caller(
    app: tasks.PlatformCelery, own_redis: OwnRedis
) -> None:
    assert await tasks.enqueue(app, a_worker.note_it, what="warm")
    own_redis.freeze()
    started = time.monotonic()
    assert not await tasks.enqueue(app, a_worker.note_it, what="cold")
    assert time.monotonic() - started < tasks.BROKER_TIMEOUT_S + 2
    own_redis.thaw()


async def test_sigterm_lets_a_running_task_end_and_the_process_leave(
    rig: Rig, app: tasks.PlatformCelery, worker: WorkerProcess
) -> None:
    await tasks.enqueue(app, a_worker.note_slowly, what="payout", seconds=1.5)
    await eventually(lambda: _noted(rig, "payout begun"), timeout_s=30)
    worker.process.send_signal(signal.SIGTERM)

    assert await worker.ended() == 0
    assert "payout done" in await rig.noted()


async def test_a_task_that_outlasts_the_drain_is_cut_off_and_the_process_leaves(
    rig: Rig, app: tasks.PlatformCelery, environment: dict[str, str], tmp_path: Path
) -> None:
    worker = WorkerProcess(environment | {"DRAIN_MAX_S": "0.5"}, tmp_path / "worker.log")
    try:
        await tasks.enqueue(app, a_worker.note_slowly, what="export", seconds=50)
        await eventually(lambda: _noted(rig, "export begun"), timeout_s=30)
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ended(timeout_s=10) == 0
    finally:
        worker.kill()
    line = next(line for line in worker.lines() if line.get("task") == "test.slow")
    assert line["outcome"] == "cancelled"


async def test_a_worker_that_starts_before_its_broker_waits_for_it(
    rig: Rig, app: tasks.PlatformCelery, environment: dict[str, str], own_redis: OwnRedis, tmp_path: Path
) -> None:
    own_redis.kill()
    worker = WorkerProcess(environment, tmp_path / "worker.log")
    try:
        await asyncio.sleep(3)
        assert worker.process.poll() is None
        own_redis.start()
        await eventually(lambda: _noted(rig, "tick"), timeout_s=30)
    finally:
        worker.kill()


async def test_a_task_is_cut_off_at_its_limit_and_the_worker_goes_on(
    rig: Rig, app: tasks.PlatformCelery, worker: WorkerProcess
) -> None:
    await tasks.enqueue(app, a_worker.never_end)
    await eventually(lambda: _noted(rig, "cut off"), timeout_s=30)
    await tasks.enqueue(app, a_worker.note_it, what="next")
    await eventually(lambda: _noted(rig, "next"))

    line = next(line for line in worker.lines() if line.get("task") == "test.endless")
    assert line["outcome"] == "failed"


async def test_two_workers_run_each_slot_once(
    rig: Rig, environment: dict[str, str], tmp_path: Path, unused_tcp_port_factory: Any
) -> None:
    workers = [
        WorkerProcess(environment | {"OPS_PORT": str(unused_tcp_port_factory())}, tmp_path / f"{number}.log")
        for number in range(2)
    ]
    try:

        async def has_ticked() -> bool:
            return (await rig.noted()).count("tick") >= 5

        await eventually(has_ticked, timeout_s=40)
        for worker in workers:
            worker.process.send_signal(signal.SIGTERM)
        for worker in workers:
            assert await worker.ended() == 0
    finally:
        for worker in workers:
            worker.kill()
    async with rig.engine.connect() as conn:
        slots = (await conn.execute(text("SELECT slot, attempts FROM events_test.job_run"))).all()
    assert (await rig.noted()).count("tick") == len(slots)
    assert {slot.attempts for slot in slots} == {1}


async def test_the_ops_door_tells_metrics_and_health(worker: WorkerProcess) -> None:
    async def is_up() -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{worker.ops_url}/metrics") as answer:
                return 'task_seconds_count{outcome="ok",task="test.tick"}' in await answer.text()
        except aiohttp.ClientError:
            return False

    await eventually(is_up, timeout_s=30)
    async with aiohttp.ClientSession() as session, session.get(f"{worker.ops_url}/health/live") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "live"})


async def test_a_worker_whose_broker_would_redeliver_at_another_time_does_not_start(
    environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    worker = WorkerProcess(environment | {"VISIBILITY_TIMEOUT_S": "3600"}, log)
    try:
        assert await worker.ended() == 1
    finally:
        worker.kill()
    assert b"the broker redelivers after 3600 s, not 900" in log.read_bytes()


async def test_a_worker_without_heartbeat_fails_liveness_only_while_the_broker_answers(
    app: tasks.PlatformCelery, own_redis: OwnRedis
) -> None:
    assert await tasks._consumes(app)
    app.worker.heartbeat_at_s -= tasks.HEARTBEAT_MAX_AGE_S + 1
    assert not await tasks._consumes(app)
    own_redis.kill()
    assert await tasks._consumes(app), "a restart would not bring the broker back"


async def test_of_twenty_that_claim_a_slot_at_once_one_gets_it(rig: Rig) -> None:
    start = asyncio.Event()

    async def claim() -> bool:
        async with rig.engine.begin() as conn:
            await start.wait()
            return await tasks.claim_slot(conn, JOB_RUN, "job", AN_AGE_S) is not None

    claims = [asyncio.create_task(claim()) for _ in range(10)]
    await asyncio.sleep(0.2)
    start.set()

    assert sorted(await asyncio.gather(*claims)) == [False] * 9 + [True]


async def test_a_claim_that_is_rolled_back_leaves_the_slot_to_others(rig: Rig) -> None:
    async with rig.engine.connect() as conn:
        assert await tasks.claim_slot(conn, JOB_RUN, "job", AN_AGE_S)
        await conn.rollback()
    async with rig.engine.begin() as conn:
        assert await tasks.claim_slot(conn, JOB_RUN, "job", AN_AGE_S)


async def test_a_slot_that_nobody_finished_may_be_taken_again_after_its_lease(rig: Rig) -> None:
    async with rig.engine.begin() as conn:
        assert await tasks.claim_slot(conn, JOB_RUN, "job", AN_AGE_S, lease_s=30)
        assert not await tasks.claim_slot(conn, JOB_RUN, "job", AN_AGE_S, lease_s=30)
        await conn.execute(text("UPDATE events_test.job_run SET claimed_at = now() - interval '31 seconds'"))
    async with rig.engine.begin() as conn:
        assert not await tasks.claim_slot(conn, JOB_RUN, "job", AN_AGE_S)
        assert await tasks.claim_slot(conn, JOB_RUN, "job", AN_AGE_S, lease_s=30)
        await conn.execute(
            text("UPDATE events_test.job_run SET claimed_at = now() - interval '1 hour', finished_at = now()")
        )
    async with rig.engine.begin() as conn:
        assert not await tasks.claim_slot(conn, JOB_RUN, "job", AN_AGE_S, lease_s=30)


async def test_slots_follow_database_time(rig: Rig) -> None:
    async with rig.engine.connect() as conn:
        slot = await tasks.claim_slot(conn, JOB_RUN, "job", 3600)
        now = await conn.scalar(text("SELECT now()"))
    assert now is not None
    assert slot is not None
    assert slot <= now < slot + timedelta(hours=1)
    assert (slot.minute, slot.second, slot.microsecond) == (0, 0, 0)


class Failing:
    """A job that fails as often as it is told."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.runs = 0

    async def __call__(self, deps: Any) -> None:
        self.runs += 1
        if self.runs <= self.failures:
            raise RuntimeError("not today")


async def test_a_periodic_job_that_failed_is_tried_again_in_its_slot_and_one_that_ended_is_not(
    rig: Rig, settings: a_worker.WorkerSettings
) -> None:
    body = Failing(failures=1)
    job = tasks.periodic(tasks.async_task("test.failing")(body), every_s=3600)
    worker = tasks.Worker(settings, "test", a_worker.open_deps, JOB_RUN)
    worker.start()
    try:
        with pytest.raises(RuntimeError):
            await asyncio.to_thread(worker.call, worker.run_periodic(job))
        for _ in range(3):
            await asyncio.to_thread(worker.call, worker.run_periodic(job))
    finally:
        await asyncio.to_thread(worker.stop)
    assert body.runs == 2


async def test_what_a_worker_opens_it_closes_in_the_same_task_and_in_reverse(
    settings: a_worker.WorkerSettings,
) -> None:
    """Task groups and timeouts inside of `open_deps` may only be left by the task that entered them."""
    seen: list[tuple[str, object]] = []

    @asynccontextmanager
    async def opened(name: str) -> AsyncIterator[str]:
        seen.append((f"{name} opened", asyncio.current_task()))
        yield name
        seen.append((f"{name} closed", asyncio.current_task()))

    worker = tasks.Worker(settings, "test", lambda _: opened("deps"), None)
    await asyncio.to_thread(worker.start, opened("ops"))
    assert worker.deps == "deps"
    await asyncio.to_thread(worker.stop)

    assert [what for what, _ in seen] == ["deps opened", "ops opened", "ops closed", "deps closed"]
    assert len({task for _, task in seen}) == 1


async def test_a_worker_whose_deps_do_not_open_says_why(settings: a_worker.WorkerSettings) -> None:
    @asynccontextmanager
    async def broken(_: object) -> AsyncIterator[None]:
        raise ConnectionRefusedError("no database")
        yield

    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(tasks.Worker(settings, "test", broken, None).start)


async def test_old_slots_are_forgotten(rig: Rig, settings: a_worker.WorkerSettings) -> None:
    async with rig.engine.begin() as conn:
        for age in (1, 99, 101, 5000):
            slot = datetime.now(UTC) - timedelta(seconds=age)
            await conn.execute(
                JOB_RUN.insert(), [{"job": job, "slot": slot} for job in ("test.tick", "another")]
            )
    worker = tasks.Worker(settings, "test", a_worker.open_deps, JOB_RUN)
    worker.start()
    try:
        await asyncio.to_thread(worker.call, worker.run_periodic(tasks.periodic(a_worker.tick, 1)))
    finally:
        await asyncio.to_thread(worker.stop)
    async with rig.engine.connect() as conn:
        counts = (
            await conn.execute(
                text("SELECT job, count(*) FROM events_test.job_run GROUP BY job ORDER BY job")
            )
        ).all()
    assert [tuple(row) for row in counts] == [("another", 4), ("test.tick", 3)]


def test_a_task_may_not_run_as_long_as_the_broker_waits() -> None:
    with pytest.raises(ValueError, match="at most"):
        tasks.async_task("x", time_limit_s=tasks.VISIBILITY_TIMEOUT_S)


def test_long_slots_are_looked_at_every_minute() -> None:
    assert tasks.periodic(a_worker.tick, 86400).tick_s == 60
    assert tasks.periodic(a_worker.tick, 5).tick_s == 5


async def test_a_task_can_be_called_like_the_function_that_it_is(rig: Rig) -> None:
    await a_worker.note_it(a_worker.Deps(rig.engine), what="directly")
    assert await rig.noted() == ["directly"]
