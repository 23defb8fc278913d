"""Where tasks run: one loop in a thread of its own, for all threads of the Celery worker."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar

import uvloop
from sqlalchemy import Table

from platform_kit import canonical, telemetry
from platform_kit.db import each_by_itself
from platform_kit.job_slots import claim_slot, finish_slot, release_slot
from platform_kit.logging import get_logger
from platform_kit.settings import ServiceSettings

TRACE_HEADER: Final = "traceparent"
CLOSE_MAX_S: Final = 30.0  # a committer that drains, pools that close

DepsT = TypeVar("DepsT")
SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
P = ParamSpec("P")

log = get_logger(__name__)


@dataclass(frozen=True)
class AsyncTask(Generic[DepsT, P]):
    """A named operation that a message may start. Calling it runs the body directly (tests, other tasks)."""

    name: str
    body: Callable[Concatenate[DepsT, P], Awaitable[Any]]
    time_limit_s: float

    async def __call__(self, deps: DepsT, *args: P.args, **kwargs: P.kwargs) -> Any:
        return await self.body(deps, *args, **kwargs)


@dataclass(frozen=True)
class Periodic:
    """A task that runs once per slot of `every_s` seconds of database time, however many workers tick."""

    task: AsyncTask[Any, Any]
    every_s: float
    tick_s: float

    @property
    def schedule_name(self) -> str:
        return f"periodic {self.task.name}"


class Timetable:
    """Ticks for periodic jobs, on the loop that runs them, for as long as it is entered.

    Every worker ticks, and the slots in Postgres let one of them run the job: nothing is sent, so a broker that is
    away stops no sweeper (ADR 8). A job that runs long does not hold its next slots up; at most `at_once_max` runs are
    under way, and a tick that would wait behind another of its job is left out.
    """

    def __init__(
        self, run: Callable[[Periodic], Awaitable[None]], jobs: Sequence[Periodic], *, at_once_max: int
    ) -> None:
        self._run = run
        self._jobs = jobs
        self._places = asyncio.Semaphore(at_once_max)
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._clocks: list[asyncio.Task[None]] = []
        self._runs: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._clocks = [asyncio.create_task(self._tick(job)) for job in self._jobs]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Waits for what runs."""
        self.stop()
        await asyncio.gather(*self._clocks, *self._runs, return_exceptions=True)

    def stop(self) -> None:
        """No more ticks, and what waits for room does not begin; what runs goes on."""
        for task in (*self._clocks, *self._waiting.values()):
            task.cancel()

    async def _tick(self, job: Periodic) -> None:
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        while True:
            # No drift, and no rush after a loop that stood still.
            next_s = max(next_s + job.tick_s, loop.time())
            await asyncio.sleep(next_s - loop.time())
            if job.schedule_name not in self._waiting:
                run = asyncio.create_task(self._run_when_there_is_room(job), context=Context())
                self._waiting[job.schedule_name] = run
                self._runs.add(run)
                run.add_done_callback(self._runs.discard)

    async def _run_when_there_is_room(self, job: Periodic) -> None:
        try:
            await self._places.acquire()
        finally:
            del self._waiting[job.schedule_name]
        try:
            await self._run(job)
        except Exception as error:  # its slot is free again; a later tick takes it
            log.warning("periodic job failed", task=job.task.name, error=repr(error), exc_info=error)
        finally:
            self._places.release()


class Worker(Generic[SettingsT, DepsT]):
    """What a process needs to run tasks: one loop in a thread of its own, the deps opened once in it."""

    def __init__(
        self,
        settings: SettingsT,
        name: str,
        open_deps: Callable[[SettingsT], AbstractAsyncContextManager[DepsT]],
        job_run: Table | None,
    ) -> None:
        self.name = name
        self.settings = settings
        self._open_deps = open_deps
        self._job_run = job_run
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing: asyncio.Event | None = None
        self._keeper: concurrent.futures.Future[None] | None = None
        self._deps: DepsT | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self.heartbeat_at_s = time.monotonic()

    @property
    def deps(self) -> DepsT:
        assert self._deps is not None, "the worker has not started"
        return self._deps

    def start(self, *beside: AbstractAsyncContextManager[Any]) -> None:
        """Start the loop and open the deps, then the contexts `beside` them; raises what opening raises."""
        loop = self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name=f"{self.name} loop", daemon=True)
        self._thread.start()
        opened: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._keeper = asyncio.run_coroutine_threadsafe(self._keep(opened, beside), loop)
        opened.result()

    async def _keep(
        self, opened: concurrent.futures.Future[None], beside: Sequence[AbstractAsyncContextManager[Any]]
    ) -> None:
        """One task opens everything and closes it: task groups and timeouts inside of deps need that."""
        self._closing = asyncio.Event()
        try:
            async with AsyncExitStack() as stack:
                self._deps = await stack.enter_async_context(self._open_deps(self.settings))
                for context in beside:
                    await stack.enter_async_context(context)
                opened.set_result(None)
                await self._closing.wait()
        except BaseException as error:
            if opened.done():
                raise
            opened.set_exception(error)

    def stop(self) -> None:
        """Close what was opened, in reverse, and end the loop; raises what closing raises."""
        if self._loop is None or self._thread is None or self._keeper is None:
            return
        try:
            if self._closing is not None:
                self._loop.call_soon_threadsafe(self._closing.set)
            self._keeper.result(CLOSE_MAX_S)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)
            self._loop = None

    def call(self, work: Any, timeout_s: float | None = None) -> Any:
        """Run a coroutine on the loop from another thread and wait for it."""
        assert self._loop is not None, "the worker has not started"
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def soon(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Call it on the loop. From any thread, and from a signal handler."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(call, *arguments)

    def cut_off_after(self, seconds: float) -> None:
        """Cancel what still runs then. From any thread, and from a signal handler."""
        if self._loop is not None:
            self.soon(self._loop.call_later, seconds, self._cut_off)

    def _cut_off(self) -> None:
        for task in self._running:
            task.cancel()

    async def run(self, task: AsyncTask[Any, Any], arguments: Mapping[str, Any], **context: Any) -> Any:
        """One run of a task: time limit, canonical line, metric, trace."""
        traceparent = (
            telemetry.valid_traceparent(context.pop(TRACE_HEADER, None)) or telemetry.new_traceparent()
        )

        def observe(outcome: str, seconds: float) -> None:
            telemetry.task_seconds.labels(task.name, outcome).observe(seconds)

        with (
            telemetry.span(task.name, "consumer", traceparent=traceparent),
            canonical.line("task", observe, task=task.name, trace_id=traceparent[3:35], **context),
        ):
            current = asyncio.current_task()
            assert current is not None
            self._running.add(current)
            try:
                async with asyncio.timeout(task.time_limit_s):
                    return await task.body(self.deps, **arguments)
            finally:
                self._running.discard(current)

    async def run_periodic(self, job: Periodic, **context: Any) -> None:
        """One tick of a schedule: run the job when its slot is free, else nothing (not even a line)."""
        engine = getattr(self.deps, "engine", None)
        table = self._job_run
        assert engine is not None, "periodic tasks need deps.engine"
        assert table is not None, "periodic tasks need a job_run table"
        name = job.task.name
        at_once = each_by_itself(engine)
        async with at_once.connect() as conn:
            slot = await claim_slot(conn, table, name, job.every_s, lease_s=job.task.time_limit_s + 5)
        if slot is None:
            return
        end = release_slot
        try:
            await self.run(job.task, {}, slot=slot.isoformat(), **context)
            end = finish_slot
        finally:
            async with at_once.connect() as conn:
                await end(conn, table, name, slot)

    async def beat(self) -> None:
        """The heartbeat task's body: a message has come all the way round."""
        self.heartbeat_at_s = time.monotonic()

    def heartbeat_age_s(self) -> float:
        return time.monotonic() - self.heartbeat_at_s
