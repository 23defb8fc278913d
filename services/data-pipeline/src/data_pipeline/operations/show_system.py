"""Is anything stuck? Positions and lags, jobs, archive, replays, versions, invariants; a service that does not answer
is shown as such, and the rest is there."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from data_pipeline.clients.backups import Backups, backups_in
from data_pipeline.clients.service_api import Door
from data_pipeline.operations.deps import Deps
from data_pipeline.settings import CONSUMER, SERVICE
from data_pipeline.store import archive as archive_store
from data_pipeline.store import facts as fact_store
from data_pipeline.store import invariants as invariant_store
from data_pipeline.store import jobs, positions
from data_pipeline.store import quarantine as quarantine_store
from data_pipeline.store import replay as replay_store
from data_pipeline.store import rollups as rollup_store
from data_pipeline.store.tables import SCHEMA
from platform_kit.migrations import revisions

REPLAYS_SHOWN: Final = 3
SLOTS_MISSED: Final = 3  # a worker that is restarted misses one
OVERDUE: Final = timedelta(
    hours=3
)  # of a job that ran once; nothing that is scheduled runs more rarely than hourly
BACKUP_TOO_OLD: Final = timedelta(
    hours=30
)  # as the alert of the charts says; where none was ever made, none is due
GRACE: Final = timedelta(minutes=5)  # a job may take as long as several of its slots


@dataclass(frozen=True, slots=True)
class System:
    """Everything that the page shows. `revision` is the schema's, and the one that this program needs."""

    doors: list[Door]
    revision: tuple[str | None, str | None]
    streams: list[dict[str, Any]]
    archive: list[dict[str, Any]]
    rollups: list[dict[str, Any]]
    jobs: list[dict[str, Any]]
    replays: list[dict[str, Any]]
    invariants: list[dict[str, Any]]
    quarantine: tuple[int, datetime | None]
    configuration: Mapping[str, str | None]
    backups: Backups | None
    """None where this process cannot see them."""


async def show_system(deps: Deps) -> System:
    """What we know ourselves in one snapshot; the other services are asked meanwhile, for half a second at most."""
    asked = [asyncio.create_task(service.door()) for service in (deps.gateway, deps.risk)]
    try:
        async with deps.engine.connect() as conn:
            await conn.execution_options(isolation_level="REPEATABLE READ")
            streams = await positions.read(conn, CONSUMER)
            archive = await archive_store.progress(conn, CONSUMER) if deps.archive.is_configured else []
            rollups = await rollup_store.newest(conn)
            ran = await jobs.latest(conn)
            replays = await replay_store.latest(conn, REPLAYS_SHOWN)
            invariants = await invariant_store.latest(conn)
            quarantine = await quarantine_store.open_summary(conn)
            decided_by = await fact_store.decided_by(conn)
        revision = await revisions(deps.engine, "data_pipeline", SCHEMA)
        doors = [*(await asyncio.gather(*asked)), Door(SERVICE, deps.settings.app_version, {})]
    finally:
        for task in asked:
            task.cancel()
    return System(
        doors=doors,
        revision=revision,
        streams=streams,
        archive=archive,
        rollups=rollups,
        jobs=[_judged(row, deps.clock.now()) for row in ran],
        replays=replays,
        invariants=invariants,
        quarantine=quarantine,
        backups=await asyncio.to_thread(backups_in, folder)
        if (folder := deps.settings.backups_dir)
        else None,
        configuration={**decided_by, "channel terms": _terms_version(deps)},
    )


def _judged(job: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """With one word for how it goes; how often it runs is seen from its slots."""
    if job["is_failed"]:
        state = "failed"
    elif job["finished_at"] is None:
        state = "running"
    else:
        every = (job["slot"] - job["first_slot"]) / max(1, job["slot_count"] - 1)
        allowed = GRACE + SLOTS_MISSED * every if every else OVERDUE
        state = "late" if now - job["slot"] > allowed else "done"
    return {**job, "state": state}


def _terms_version(deps: Deps) -> str:
    """Twelve digits of the SHA-256 of what was agreed with the channels: other terms, other digits."""
    terms = {name: asdict(agreed) for name, agreed in deps.terms.items()}
    return hashlib.sha256(
        orjson.dumps(terms, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    ).hexdigest()[:12]


def stuck(system: System, now: datetime) -> Sequence[str]:
    """What somebody should look at, in words; nothing when all goes."""
    found = [f"{door.service} does not answer" for door in system.doors if door.version is None]
    found += [
        f"{door.service} is not ready: {', '.join(door.failing)}" for door in system.doors if door.failing
    ]
    found += [
        f"{job['job'].partition('.')[2]} {job['state']}"
        for job in system.jobs
        if job["state"] in ("failed", "late")
    ]
    found += [f"{row['name']} does not hold" for row in system.invariants if row["is_kept"] is False]
    if system.backups and system.backups.made_at and now - system.backups.made_at > BACKUP_TOO_OLD:
        found.append("the last backup is older than 30 hours")
    if not system.jobs:
        found.append("no scheduled job has run")
    if system.revision[0] != system.revision[1]:
        found.append("the schema has another revision than this version")
    return found
