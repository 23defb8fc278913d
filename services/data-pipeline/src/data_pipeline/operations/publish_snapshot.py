"""Write the days of facts that changed to the snapshot, each only when it keeps its contract; the manifest comes last.

All is read in one transaction, so a snapshot is of one moment: what it says of an event is in every table or in none. A
crash leaves files that no manifest names. Marks are taken away after the manifest stands, so that at worst a day is
written twice, to the same file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.clients.fact_contracts import examine
from data_pipeline.domain.lineage import PUBLISH
from data_pipeline.domain.quality import Examined, Failure
from data_pipeline.domain.snapshot import BREAKS, CLOCKS, Manifest, Partition, PartitionFile
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_status import NAMES
from data_pipeline.operations.run_report import as_of_here, at_one_moment
from data_pipeline.operations.tell_lineage import lineage_of
from data_pipeline.store import snapshot as snapshot_store
from platform_kit import lease
from platform_kit.logging import get_logger

LEASE: Final = "snapshot"
LEASE_WAIT_S: Final = 1.0
GRACE: Final = timedelta(
    hours=1
)  # a file that no manifest names stays for whoever reads it, or is about to name it
BUDGET_S: Final = 400.0  # newest days first; what is not reached waits for the next run, and readers are told
LOOKS_KEPT: Final = timedelta(days=30)

quality_score = Gauge("pipeline_quality_score", "Share of rows looked at last that break no rule.", ["table"])
quality_blocked = Gauge("pipeline_quality_blocked", "Days that are not published for a rule.", ["table"])
snapshot_waiting = Gauge(
    "pipeline_snapshot_waiting", "Days that changed and are not published yet.", ["table"]
)
snapshot_made_at = Gauge("pipeline_snapshot_made_at_seconds", "When the facts were last published.")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """What a run did: the manifest that stands now, and what it looked at."""

    manifest: Manifest
    looks: tuple[Examined, ...]


async def publish_snapshot(deps: Deps, budget_s: float = BUDGET_S) -> Published | None:
    """One run of about `budget_s`; None when there is nowhere to write, or when somebody else is at it."""
    if not deps.snapshots.is_configured:
        return None
    async with _lease(deps) as is_ours:
        if not is_ours:
            return None
        async with lineage_of(deps, PUBLISH):
            return await _publish(deps, budget_s)


@asynccontextmanager
async def _lease(deps: Deps) -> AsyncIterator[bool]:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(LEASE_WAIT_S, stop.set)
    async with lease.held(deps.engine, LEASE, stop) as held:
        yield held is not None


async def _publish(deps: Deps, budget_s: float) -> Published:
    store, now, clock = deps.snapshots, deps.clock.now(), asyncio.get_running_loop().time
    deadline = clock() + budget_s
    old = await store.manifest()
    looks: list[Examined] = []
    async with deps.engine.connect() as conn, conn.begin():
        await at_one_moment(conn)
        as_of = await as_of_here(conn)
        seen = await snapshot_store.dirty(conn)
        digests = await snapshot_store.break_digests(conn)
        new = await _next_manifest(deps, old, as_of, now)
        dirty = set(seen) | _changed_breaks(new, digests)
        if old is None:
            dirty |= await snapshot_store.every_partition(conn)
        kept_from = _kept_from(deps, now)
        todo = [one for one in dirty | {*new.blocked, *new.waiting} if one.day >= kept_from]
        new = replace(new, waiting=())
        for partition in sorted(todo, key=lambda one: (-one.day.toordinal(), one.table)):
            if clock() > deadline or await _is_too_large(deps, conn, partition):
                new = _not_reached(new, partition, old)
                continue
            look, file = await _look(deps, conn, partition, digests.get(partition.day))
            looks.append(look)
            new = _with(new, partition, look, file, old)
    new = _without_days_before(new, kept_from)
    await store.publish(new)
    async with deps.engine.begin() as conn:
        stay = {*new.blocked, *new.waiting}
        await snapshot_store.clean(conn, {one: marks for one, marks in seen.items() if one not in stay})
        await snapshot_store.keep(conn, looks, new.as_of[NAMES[PAYMENTS]]["position"], now)
        await snapshot_store.forget(conn, now - LOOKS_KEPT)
    # Who read the old manifest a moment ago is at its files still: they stay for one more run.
    for path in await store.forgotten(new.paths() | (old.paths() if old else set()), now - GRACE):
        await store.delete(path)
    _tell(new, looks)
    return Published(new, tuple(looks))


async def _next_manifest(
    deps: Deps, old: Manifest | None, as_of: Mapping[str, Any], now: datetime
) -> Manifest:
    """The old one's partitions under a new version; its columns are those of this release."""
    schemas = {
        name: await deps.snapshots.write_schema(name, snapshot_store.columns_of(name)) for name in CLOCKS
    }
    if old is None:
        return Manifest(1, now, as_of, schemas)
    return replace(old, version=old.version + 1, made_at=now, as_of=as_of, schemas=schemas)


def _changed_breaks(manifest: Manifest, digests: Mapping[date, str]) -> set[Partition]:
    published = {one.day: one.digest for one in manifest.partitions.get(BREAKS, ())}
    days = {*digests, *published}
    return {Partition(BREAKS, day) for day in days if digests.get(day) != published.get(day)}


def _kept_from(deps: Deps, now: datetime) -> date:
    keep_days = deps.settings.snapshot_keep_days
    return now.date() - timedelta(days=keep_days) if keep_days else date.min


async def _is_too_large(deps: Deps, conn: AsyncConnection, partition: Partition) -> bool:
    """A day that would not fit must not end the worker, again with every tick: it waits, and somebody is told."""
    row_count = await snapshot_store.count(conn, partition)
    if row_count <= deps.settings.snapshot_rows_max:
        return False
    log.error(
        "day too large for a snapshot",
        table=partition.table,
        day=partition.day.isoformat(),
        rows=row_count,
        most=deps.settings.snapshot_rows_max,
    )
    return True


async def _look(
    deps: Deps, conn: AsyncConnection, partition: Partition, digest: str | None
) -> tuple[Examined, PartitionFile | None]:
    """What holds of a partition, and its file when it may be published and has rows."""
    collected = deps.snapshots.collect(snapshot_store.columns_of(partition.table))
    async for slice_ in snapshot_store.rows(conn, partition):
        await asyncio.to_thread(collected.append, slice_)
    table = await asyncio.to_thread(collected.whole)
    failures = await asyncio.to_thread(examine, partition.table, table, partition.day, deps.clock.now())
    failures += await _sums(conn, partition)
    look = Examined(partition.table, partition.day, table.num_rows, tuple(failures))
    if look.is_blocked or not table.num_rows:
        return look, None
    return look, await deps.snapshots.write(partition, table, digest if partition.table == BREAKS else None)


async def _sums(conn: AsyncConnection, partition: Partition) -> list[Failure]:
    """What must hold of the day across rows and tables; counted in keys, each told by its name."""
    if partition.table == "fact_payment":
        rule, found = "rollup_equals_detail", await snapshot_store.rollup_differences(conn, partition.day)
    elif partition.table == "fact_transfer":
        rule, found = "journals_are_whole", await snapshot_store.torn_journals(conn, partition.day)
    else:
        return []
    sample = tuple({"key": one} for one in found[:5])
    return [Failure(rule, len(found), None, sample)] if found else []


def _with(
    manifest: Manifest, partition: Partition, look: Examined, file: PartitionFile | None, old: Manifest | None
) -> Manifest:
    """The manifest after one look: the new file, or, when blocked, the old one with the positions it is true of."""
    blocked = {one for one in manifest.blocked if one != partition}
    if look.is_blocked:
        blocked.add(partition)
        file = _as_it_was(manifest.find(partition), old)
    return replace(_with_file(manifest, partition, file), blocked=tuple(sorted(blocked)))


def _not_reached(manifest: Manifest, partition: Partition, old: Manifest | None) -> Manifest:
    file = _as_it_was(manifest.find(partition), old)
    return replace(_with_file(manifest, partition, file), waiting=(*manifest.waiting, partition))


def _as_it_was(file: PartitionFile | None, old: Manifest | None) -> PartitionFile | None:
    """The file that stands, with the positions up to which it is true."""
    if file is None or file.positions is not None or old is None:
        return file
    return replace(file, positions={name: told["position"] for name, told in old.as_of.items()})


def _with_file(manifest: Manifest, partition: Partition, file: PartitionFile | None) -> Manifest:
    kept = [one for one in manifest.partitions.get(partition.table, ()) if one.day != partition.day]
    files = tuple(sorted([*kept, *([file] if file else [])], key=lambda one: one.day))
    return replace(manifest, partitions={**manifest.partitions, partition.table: files})


def _without_days_before(manifest: Manifest, first: date) -> Manifest:
    return replace(
        manifest,
        partitions={
            table: tuple(one for one in files if one.day >= first)
            for table, files in manifest.partitions.items()
        },
        blocked=tuple(one for one in manifest.blocked if one.day >= first),
        waiting=tuple(one for one in manifest.waiting if one.day >= first),
    )


def _tell(manifest: Manifest, looks: list[Examined]) -> None:
    snapshot_made_at.set(manifest.made_at.timestamp())
    for table in CLOCKS:
        quality_blocked.labels(table).set(sum(one.table == table for one in manifest.blocked))
        snapshot_waiting.labels(table).set(sum(one.table == table for one in manifest.waiting))
        if of_table := [look for look in looks if look.table == table]:
            quality_score.labels(table).set(min(look.score for look in of_table))
    for look in looks:
        for failure in look.failures:
            tell = log.error if look.is_blocked else log.warning
            tell(
                "quality rule broken",
                table=look.table,
                day=look.day.isoformat(),
                rule=failure.rule,
                severity=failure.severity.value,
                column=failure.column,
                failed=failure.failed_count,
                rows=look.row_count,
            )
    log.info(
        "snapshot published", version=manifest.version, looked_at=len(looks), blocked=len(manifest.blocked)
    )
