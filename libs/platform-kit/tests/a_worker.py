"""A worker process for the tests: `python a_worker.py`, configured by the environment like any other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from event_rig import JOB_RUN
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_kit import canonical, db, tasks, telemetry
from platform_kit.logging import configure_logging
from platform_kit.settings import ServiceSettings


class WorkerSettings(ServiceSettings):
    visibility_timeout_s: int = tasks.VISIBILITY_TIMEOUT_S
    drain_max_s: float = 10


@dataclass
class Deps:
    engine: AsyncEngine


@asynccontextmanager
async def open_deps(settings: WorkerSettings) -> AsyncIterator[Deps]:
    engine = db.create_engine(settings)
    yield Deps(engine)
    await engine.dispose()


async def note(deps: Deps, what: str) -> None:
    """Write down that something ran; the table has no unique constraint, so that a second run shows."""
    async with deps.engine.begin() as conn:
        await conn.execute(text("INSERT INTO events_test.noted (what) VALUES (:what)"), {"what": what})


@tasks.async_task("test.note")
async def note_it(deps: Deps, *, what: str) -> None:
    canonical.add(what=what)
    await note(deps, what)


@tasks.async_task("test.slow")
async def note_slowly(deps: Deps, *, what: str, seconds: float) -> None:
    await note(deps, f"{what} begun")
    await asyncio.sleep(seconds)
    await note(deps, f"{what} done")


@tasks.async_task("test.endless", time_limit_s=0.5)
async def never_end(deps: Deps) -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await note(deps, "cut off")
        raise


@tasks.async_task("test.tick", time_limit_s=5)
async def tick(deps: Deps) -> None:
    await note(deps, "tick")


@tasks.async_task("test.trace")
async def note_trace(deps: Deps) -> None:
    await note(deps, telemetry.current_traceparent() or "none")


def make(settings: WorkerSettings) -> tasks.PlatformCelery:
    app = tasks.create_celery(
        settings,
        "test-service",
        open_deps=open_deps,
        tasks=[note_it, note_slowly, never_end, note_trace],
        schedule=[tasks.periodic(tick, every_s=1)],
        job_run=JOB_RUN,
    )
    app.conf.broker_transport_options["visibility_timeout"] = settings.visibility_timeout_s
    return app


if __name__ == "__main__":
    settings = WorkerSettings.load()
    configure_logging(settings, "test-service")
    tasks.run_worker(make(settings), settings, drain_max_s=settings.drain_max_s)
