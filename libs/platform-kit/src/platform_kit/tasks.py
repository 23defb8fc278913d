"""Background work on Celery: schedules, files, deliveries. What Celery is trusted with, and what it is not.

A message carries ids, never state, and may be lost or come twice: Redis drops it, a visibility timeout
repeats it. So the row in Postgres stays "due" until the work is done, a sweeper on a schedule finds it
again, and a message only makes it sooner. No ETA or countdown anywhere (a long one is delivered twice;
celery#5935): `due_at` is a column. The schedule itself sends no messages: `task_worker.Timetable` (ADR 8).

Operations are async and tasks are one line around them:

    @async_task("webhooks.deliver", time_limit_s=30)
    async def deliver(deps: Deps, *, delivery_id: str) -> None:
        await deliver_webhook(deps, delivery_id)

    celery_app = create_celery(settings, "payment-gateway", open_deps=open_deps, tasks=[deliver, sweep],
                               schedule=[periodic(sweep, every_s=5)], job_run=tables.job_run)
    run_worker(celery_app, settings)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from celery import Celery
from celery.signals import worker_ready, worker_shutting_down
from celery.worker import state as worker_state
from kombu.exceptions import OperationalError
from redis import Redis as BlockingRedis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Table

from platform_kit import telemetry
from platform_kit.job_slots import claim_slot, job_run_table
from platform_kit.logging import get_logger
from platform_kit.ops import Check, OpsServer
from platform_kit.settings import ServiceSettings
from platform_kit.task_worker import TRACE_HEADER, AsyncTask, Periodic, Timetable, Worker

__all__ = [
    "AsyncTask",
    "Periodic",
    "PlatformCelery",
    "Worker",
    "async_task",
    "claim_slot",
    "create_celery",
    "enqueue",
    "job_run_table",
    "periodic",
    "run_worker",
]

VISIBILITY_TIMEOUT_S: Final = 900  # a message not acknowledged for so long is delivered again
TIME_LIMIT_MAX_S: Final = 600.0  # well below it, or a long task would run twice at once
TIME_LIMIT_S: Final = 60.0
CONCURRENCY: Final = 8  # threads that wait for the loop; the loop itself runs the tasks side by side
HEARTBEAT: Final = "platform.heartbeat"
HEARTBEAT_EVERY_S: Final = 5.0
HEARTBEAT_MAX_AGE_S: Final = 60.0  # alive and connected, yet not consuming (celery#8030, #10205): restart me
TICK_MAX_S: Final = 60.0
DRAIN_MAX_S: Final = 25.0  # what still runs so long after SIGTERM is cut off: below the 30 s until SIGKILL
BROKER_TIMEOUT_S: Final = 2.0

DepsT = TypeVar("DepsT")
SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
P = ParamSpec("P")

log = get_logger(__name__)


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


def periodic(job: AsyncTask[Any, Any], every_s: float, *, tick_s: float | None = None) -> Periodic:
    """Run `job` (without arguments) every `every_s` seconds, keyed by (job, slot) in Postgres.

    Workers tick more often than long slots (at most a minute apart): a slot that nobody finished - the worker was
    killed, Postgres was away at midnight - is taken again by a later tick.
    """
    return Periodic(job, every_s, tick_s or min(every_s, TICK_MAX_S))


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
    }


def _register(app: PlatformCelery, task: AsyncTask[Any, Any]) -> None:
    def run(self: Any, /, **arguments: Any) -> None:
        app.worker.call(app.worker.run(task, arguments, **_context(self)))

    app.task(name=task.name, bind=True, shared=False)(run)


def _register_periodic(app: PlatformCelery, job: Periodic) -> None:
    """A tick by message, for whoever wants one now; the slot is as free or taken as for any other."""

    def run(self: Any, /) -> None:
        app.worker.call(app.worker.run_periodic(job, **_context(self)))

    app.task(name=job.schedule_name, bind=True, shared=False)(run)


def _register_heartbeat(app: PlatformCelery) -> None:
    def run() -> None:
        app.worker.call(app.worker.beat())

    app.task(name=HEARTBEAT, shared=False)(run)


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
    return await _send(app, task.name, kwargs=arguments, headers=headers)


async def _send(app: Celery, name: str, **options: Any) -> bool:
    try:
        async with asyncio.timeout(BROKER_TIMEOUT_S):
            await asyncio.to_thread(app.send_task, name, **options)
    except (OperationalError, OSError) as error:
        log.warning("broker not reachable, left to the sweeper", task=name, error=repr(error))
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
    live = {"consumes": lambda: _consumes(app)}
    ops = OpsServer(settings.host, settings.ops_port, checks=checks or {}, live=live)
    timetable = Timetable(worker.run_periodic, app.jobs, at_once_max=CONCURRENCY)
    worker.start(ops, timetable, _heartbeats(app))
    try:
        _consume(app, timetable, drain_max_s)
    finally:
        worker.stop()


@asynccontextmanager
async def _heartbeats(app: PlatformCelery) -> AsyncIterator[None]:
    """Messages to ourselves: that they come round is what `_consumes` asks for."""

    async def send() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_EVERY_S)
            await _send(app, HEARTBEAT, expires=2 * HEARTBEAT_EVERY_S)

    sender = asyncio.create_task(send())
    try:
        yield
    finally:
        sender.cancel()


def _consume(app: PlatformCelery, timetable: Timetable, drain_max_s: float) -> None:
    """Celery's own worker in this thread; it handles SIGTERM (finish what runs, take no more)."""
    wrong: list[str] = []

    def on_ready(sender: Any, **_: Any) -> None:
        if problem := wrong_visibility(sender):
            wrong.append(problem)
            worker_state.should_stop = 1  # type: ignore[assignment]

    def on_shutdown(**_: Any) -> None:
        app.worker.soon(timetable.stop)
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
