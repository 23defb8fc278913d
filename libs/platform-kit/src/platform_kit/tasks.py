"""Background work on Celery: schedules, files, deliveries. What Celery is trusted with, and what it is not.

A message carries ids, never state, and may be lost or come twice: Redis drops it, a visibility timeout
repeats it. So the row in Postgres stays "due" until the work is done, a sweeper on a schedule finds it
again, and a message only makes it sooner. No ETA or countdown anywhere (a long one is delivered twice;
celery#5935): `due_at` is a column.

Operations are async and tasks are one line around them:

    @async_task("webhooks.deliver", time_limit_s=30)
    async def deliver(deps: Deps, *, delivery_id: str) -> None:
        await deliver_webhook(deps, delivery_id)

    celery_app = create_celery(settings, "payment-gateway", open_deps=open_deps, tasks=[deliver, sweep],
                               schedule=[periodic(sweep, every_s=5)], job_run=tables.job_run)
    run_worker(celery_app, settings)
"""

# ruff: noqa: S608 - the table name is ours, never input

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Concatenate, Final, Generic, ParamSpec, TypeVar

import uvloop
from celery import Celery
from celery.beat import Scheduler, Service
from celery.signals import worker_ready, worker_shutting_down
from celery.worker import state as worker_state
from kombu.exceptions import OperationalError
from redis import Redis as BlockingRedis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text, func, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import TextClause

from platform_kit import canonical, telemetry
from platform_kit.logging import get_logger
from platform_kit.ops import Check, OpsServer
from platform_kit.settings import ServiceSettings

VISIBILITY_TIMEOUT_S: Final = 900  # a message not acknowledged for so long is delivered again
TIME_LIMIT_MAX_S: Final = 600.0  # well below it, or a long task would run twice at once
TIME_LIMIT_S: Final = 60.0
CONCURRENCY: Final = 8  # threads that wait for the loop; the loop itself runs the tasks side by side
HEARTBEAT: Final = "platform.heartbeat"
HEARTBEAT_EVERY_S: Final = 5.0
HEARTBEAT_MAX_AGE_S: Final = 60.0  # alive and connected, yet not consuming (celery#8030, #10205): restart me
TICK_MAX_S: Final = 60.0
SLOTS_KEPT: Final = 100  # of each job; more than a day is of no use to anyone
DRAIN_MAX_S: Final = 25.0  # what still runs so long after SIGTERM is cut off: below the 30 s until SIGKILL
BROKER_TIMEOUT_S: Final = 2.0
TRACE_HEADER: Final = "traceparent"

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


def async_task(
    name: str, *, time_limit_s: float = TIME_LIMIT_S
) -> Callable[[Callable[Concatenate[DepsT, P], Awaitable[Any]]], AsyncTask[DepsT, P]]:
    """Make an `AsyncTask` of `async def body(deps, *, <JSON arguments>)`.

    The body is cancelled after `time_limit_s`. It must be safe to run twice and to be cut off anywhere.
    """
    if not 0 < time_limit_s <= TIME_LIMIT_MAX_S:
        raise ValueError(f"time limit of {name} must be at most {TIME_LIMIT_MAX_S} s")

    def decorate(body: Callable[Concatenate[DepsT, P], Awaitable[Any]]) -> AsyncTask[DepsT, P]:
        return AsyncTask(name, body, time_limit_s)

    return decorate


@dataclass(frozen=True)
class Periodic:
    """A task that runs once per slot of `every_s` seconds of database time, however many schedulers tick."""

    task: AsyncTask[Any, Any]
    every_s: float
    tick_s: float

    @property
    def schedule_name(self) -> str:
        return f"periodic {self.task.name}"


def periodic(job: AsyncTask[Any, Any], every_s: float, *, tick_s: float | None = None) -> Periodic:
    """Run `job` (without arguments) every `every_s` seconds, keyed by (job, slot) in Postgres.

    The scheduler ticks more often than long slots (at most a minute apart): a slot that nobody finished - the
    worker was killed, the broker was away at midnight - is taken again by a later tick.
    """
    return Periodic(job, every_s, tick_s or min(every_s, TICK_MAX_S))


def job_run_table(metadata: MetaData) -> Table:
    """`job_run` in the schema of `metadata`: one row per slot of a periodic job."""
    return Table(
        "job_run",
        metadata,
        Column("job", Text(collation="C"), primary_key=True),
        Column("slot", DateTime(timezone=True), primary_key=True, comment="start of the slot, database time"),
        Column("claimed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("finished_at", DateTime(timezone=True)),
        Column("attempts", Integer, nullable=False, server_default=text("1")),
    )


async def claim_slot(
    conn: AsyncConnection, table: Table, job: str, slot: datetime, *, lease_s: float | None = None
) -> bool:
    """Take a slot; of any number of callers one gets True.

    With `lease_s` a slot that was claimed longer ago and never finished may be taken again.
    """
    values = {"job": job, "slot": slot, "lease_s": lease_s}
    return await conn.scalar(_job_sql(table)["CLAIM"], values) is not None


async def current_slot(conn: AsyncConnection, every_s: float) -> datetime:
    """The start of the slot that database time is in: the processes' clocks have no say."""
    seconds = await conn.scalar(_CURRENT_SLOT, {"every_s": every_s})
    assert seconds is not None
    return datetime.fromtimestamp(float(seconds), UTC)


_CURRENT_SLOT: Final = text(
    "SELECT floor(extract(epoch FROM now()) / CAST(:every_s AS float8)) * CAST(:every_s AS float8)"
)


@lru_cache(maxsize=16)
def _job_sql(table: Table) -> Mapping[str, TextClause]:
    name = table.fullname
    sources = {
        "CLAIM": f"""
            INSERT INTO {name} AS j (job, slot) VALUES (:job, :slot)
            ON CONFLICT (job, slot) DO UPDATE SET claimed_at = now(), attempts = j.attempts + 1
                WHERE j.finished_at IS NULL
                  AND j.claimed_at < now() - make_interval(secs => CAST(:lease_s AS float8))
            RETURNING 1""",
        "FINISH": f"UPDATE {name} SET finished_at = now() WHERE job = :job AND slot = :slot",
        # A failed run gives its slot back: the next tick tries again.
        "RELEASE": f"""
            UPDATE {name} SET claimed_at = to_timestamp(0) WHERE job = :job AND slot = :slot
               AND finished_at IS NULL""",
        # Index: the primary key. Slots of one job are few.
        "FORGET": f"""
            DELETE FROM {name} WHERE job = :job AND slot < CAST(:slot AS timestamptz)
               - make_interval(secs => CAST(:every_s AS float8)) * {SLOTS_KEPT}""",
    }
    return {key: text(source) for key, source in sources.items()}


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
        self._stack = AsyncExitStack()
        self._deps: DepsT | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self.heartbeat_at_s = time.monotonic()

    @property
    def deps(self) -> DepsT:
        assert self._deps is not None, "the worker has not started"
        return self._deps

    def start(self) -> None:
        """Start the loop and open the deps; raises what `open_deps` raises."""
        loop = self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name=f"{self.name} loop", daemon=True)
        self._thread.start()
        self.call(self._enter())

    def stop(self) -> None:
        """Close the deps and end the loop."""
        if self._loop is None or self._thread is None:
            return
        try:
            self.call(self._stack.aclose())
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

    async def enter(self, context: AbstractAsyncContextManager[Any]) -> Any:
        """Keep one more context open until the worker stops."""
        return await self._stack.enter_async_context(context)

    async def _enter(self) -> None:
        self._deps = await self._stack.enter_async_context(self._open_deps(self.settings))

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
        async with engine.begin() as conn:
            slot = await current_slot(conn, job.every_s)
            if not await claim_slot(conn, table, name, slot, lease_s=job.task.time_limit_s + 5):
                return
            values = {"job": name, "slot": slot, "every_s": job.every_s}
            await conn.execute(_job_sql(table)["FORGET"], values)
        ended = "RELEASE"
        try:
            await self.run(job.task, {}, slot=slot.isoformat(), **context)
            ended = "FINISH"
        finally:
            async with engine.begin() as conn:
                await conn.execute(_job_sql(table)[ended], {"job": name, "slot": slot})

    async def beat(self) -> None:
        """The heartbeat task's body: a message has come all the way round."""
        self.heartbeat_at_s = time.monotonic()

    def heartbeat_age_s(self) -> float:
        return time.monotonic() - self.heartbeat_at_s


class MemoryScheduler(Scheduler):
    """Celery's beat without its file: slots live in Postgres, so there is nothing to remember across a
    restart.
    """


class PlatformCelery(Celery):
    """A Celery application with its worker and its list of jobs."""

    worker: Worker[Any, Any]
    jobs: Sequence[Periodic]


def create_celery(
    settings: SettingsT,
    name: str,
    *,
    open_deps: Callable[[SettingsT], AbstractAsyncContextManager[Any]],
    tasks: Sequence[AsyncTask[Any, Any]] = (),
    schedule: Sequence[Periodic] = (),
    job_run: Table | None = None,
) -> PlatformCelery:
    """The Celery application of one service; its queue is called `name`.

    `open_deps(settings)` is entered once per worker process. Scheduled tasks need `deps.engine` and
    `job_run`.
    """
    app = PlatformCelery(name, broker=settings.broker, set_as_current=False)
    app.conf.update(_configuration(name))
    app.worker = Worker(settings, name, open_deps, job_run)
    app.jobs = tuple(schedule)
    for task in {one.name: one for one in (*tasks, *(job.task for job in schedule))}.values():
        _register(app, task)
    for job in schedule:
        _register_periodic(app, job)
    _register_heartbeat(app)
    app.finalize()
    return app


def _configuration(queue: str) -> dict[str, Any]:
    """Each line is a trap that somebody met; see data.md 6 and reliability.md 6."""
    transport = {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "socket_timeout": 10.0,  # longer than the BRPOP of the consumer
        "socket_connect_timeout": BROKER_TIMEOUT_S,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }
    return {
        "task_default_queue": queue,
        "task_serializer": "json",
        "accept_content": ["json"],  # never pickle: a message is input
        "result_backend": None,
        "task_ignore_result": True,
        "task_acks_late": True,  # early acknowledgement lost 26 of 3,000 tasks in 14 kills
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": False,  # a door that nobody needs
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # tasks are safe to run twice
        "worker_pool_restarts": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_retry": True,
        "broker_connection_max_retries": None,  # for ever: the broker comes back
        "broker_transport_options": transport,
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "task_publish_retry": False,  # whoever publishes has a sweeper behind it; do not hold a request
        "enable_utc": True,
        "timezone": "UTC",
        "beat_enable_remote_control": False,
        "beat_max_loop_interval": 1,
        "beat_schedule": {},
    }


def _register(app: PlatformCelery, task: AsyncTask[Any, Any]) -> None:
    def run(self: Any, /, **arguments: Any) -> None:
        app.worker.call(app.worker.run(task, arguments, **_context(self)))

    app.task(name=task.name, bind=True, shared=False)(run)


def _register_periodic(app: PlatformCelery, job: Periodic) -> None:
    def run(self: Any, /) -> None:
        app.worker.call(app.worker.run_periodic(job, **_context(self)))

    app.task(name=job.schedule_name, bind=True, shared=False)(run)
    _schedule(app, job.schedule_name, job.tick_s)


def _register_heartbeat(app: PlatformCelery) -> None:
    def run() -> None:
        app.worker.call(app.worker.beat())

    app.task(name=HEARTBEAT, shared=False)(run)
    _schedule(app, HEARTBEAT, HEARTBEAT_EVERY_S)


def _schedule(app: PlatformCelery, task: str, every_s: float) -> None:
    # A tick that waited longer than its period is of no use: the next one is there already.
    options = {"expires": max(every_s, 10)}
    app.conf.beat_schedule[task] = {"task": task, "schedule": every_s, "options": options}


def _context(bound: Any) -> dict[str, Any]:
    request = bound.request
    headers = request.headers or {}
    return {"task_id": request.id, TRACE_HEADER: getattr(request, TRACE_HEADER, headers.get(TRACE_HEADER))}


async def enqueue(app: Celery, task: AsyncTask[Any, Any], **arguments: Any) -> bool:
    """Ask for a run of `task` soon; False when the broker did not take it (a sweeper will find the row).

    Publishing blocks, so it happens in a thread, and is waited for BROKER_TIMEOUT_S at most: a frozen
    broker may still take the message later, which does no harm.
    """
    headers = {TRACE_HEADER: telemetry.current_traceparent()}
    try:
        async with asyncio.timeout(BROKER_TIMEOUT_S):
            await asyncio.to_thread(app.send_task, task.name, kwargs=arguments, headers=headers)
    except (OperationalError, OSError) as error:
        log.warning("broker not reachable, left to the sweeper", task=task.name, error=repr(error))
        return False
    return True


def wrong_visibility(consumer: Any) -> str | None:
    """What is wrong with the visibility timeout of the channel that is consumed from (celery#7651:
    ignored).
    """
    effective = getattr(consumer.task_consumer.channel, "visibility_timeout", None)
    if effective == VISIBILITY_TIMEOUT_S:
        return None
    return f"the broker redelivers after {effective} s, not {VISIBILITY_TIMEOUT_S}"


def run_worker(
    app: PlatformCelery,
    settings: ServiceSettings,
    *,
    checks: Mapping[str, Check] | None = None,
    drain_max_s: float = DRAIN_MAX_S,
) -> None:
    """Run tasks and the schedule in this process until SIGTERM; returns when what runs is done or cut off.

    `checks` are what /health/ready of OPS_PORT asks, beside that messages come round (liveness).
    """
    telemetry.configure_tracing(settings, str(app.main))
    worker = app.worker
    worker.start()
    try:
        live = {"consumes": lambda: _consumes(app)}
        ops = OpsServer(settings.host, settings.ops_port, checks=checks or {}, live=live)
        worker.call(worker.enter(ops))
        beat = Service(app, max_interval=1, scheduler_cls=MemoryScheduler)
        threading.Thread(target=beat.start, name=f"{app.main} beat", daemon=True).start()
        try:
            _consume(app, drain_max_s)
        finally:
            beat.stop()
    finally:
        worker.stop()


def _consume(app: PlatformCelery, drain_max_s: float) -> None:
    """Celery's own worker in this thread; it handles SIGTERM (finish what runs, take no more)."""
    wrong: list[str] = []

    def on_ready(sender: Any, **_: Any) -> None:
        if problem := wrong_visibility(sender):
            wrong.append(problem)
            worker_state.should_stop = 1  # type: ignore[assignment]

    def on_shutdown(**_: Any) -> None:
        app.worker.cut_off_after(drain_max_s)

    worker_ready.connect(on_ready, weak=False)
    worker_shutting_down.connect(on_shutdown, weak=False)
    program = app.Worker(
        pool="threads",
        concurrency=CONCURRENCY,
        hostname=f"{app.main}@%h",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        task_events=False,
        quiet=True,
        redirect_stdouts=False,
    )
    program.start()
    worker_ready.disconnect(on_ready)
    worker_shutting_down.disconnect(on_shutdown)
    if wrong:
        raise RuntimeError(wrong[0])


async def _consumes(app: PlatformCelery) -> bool:
    """False when messages have stopped coming round although the broker answers."""
    if app.worker.heartbeat_age_s() < HEARTBEAT_MAX_AGE_S:
        return True
    return not await asyncio.to_thread(_broker_answers, app.conf.broker_url)


def _broker_answers(url: str) -> bool:
    try:
        with BlockingRedis.from_url(
            url, retry=Retry(NoBackoff(), 0), socket_timeout=1, socket_connect_timeout=1
        ) as client:
            return bool(client.ping())
    except Exception:
        return False
