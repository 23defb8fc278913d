"""Where tasks run: one loop in a thread of its own, for all threads of the Celery worker."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

import uvloop
from sqlalchemy import Table

from platform_kit import canonical, telemetry
from platform_kit.job_slots import claim_slot, finish_slot, release_slot
from platform_kit.settings import ServiceSettings

TRACE_HEADER: Final = "traceparent"
CLOSE_MAX_S: Final = 30.0  # a committer that drains, pools that close

DepsT = TypeVar("DepsT")
SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
P = ParamSpec("P")


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
    """A task that runs once per slot of `every_s` seconds of database time, however many schedulers tick."""

    task: AsyncTask[Any, Any]
    every_s: float
    tick_s: float

    @property
    def schedule_name(self) -> str:
        return f"periodic {self.task.name}"


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

    def cut_off_after(self, seconds: float) -> None:
        """Cancel what still runs then. From any thread, and from a signal handler."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._cut_off)

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
        # Claiming and ending are one statement each: no transaction to begin and to commit.
        each_by_itself = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with each_by_itself.connect() as conn:
            slot = await claim_slot(conn, table, name, job.every_s, lease_s=job.task.time_limit_s + 5)
        if slot is None:
            return
        end = release_slot
        try:
            await self.run(job.task, {}, slot=slot.isoformat(), **context)
            end = finish_slot
        finally:
            async with each_by_itself.connect() as conn:
                await end(conn, table, name, slot)

    async def beat(self) -> None:
        """The heartbeat task's body: a message has come all the way round."""
        self.heartbeat_at_s = time.monotonic()

    def heartbeat_age_s(self) -> float:
        return time.monotonic() - self.heartbeat_at_s
