"""The archive: every stored event once, whatever stops it half-way; what is damaged or missing is seen."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pipeline_rig import (
    NOON,
    World,
    a_sale,
    an_assessment,
    an_event,
    deps_for,
    ingest,
    rows,
    scalar,
    settings_for,
)
from prometheus_client import REGISTRY
from seeded_day import simulate
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.clients.archive_store import ArchiveDamaged, ArchiveStore
from data_pipeline.clients.event_sources import RISK
from data_pipeline.domain.archive import ArchivedEvent
from data_pipeline.operations import archive_events as job
from data_pipeline.operations.archive_events import archive_events, archive_lease
from data_pipeline.operations.check_freshness import check_archive
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.replay_quarantine import replay_quarantine
from data_pipeline.operations.tend_archive import drop_old_partitions, tend_archive
from data_pipeline.operations.verify_archive import Verification, verify_archive
from data_pipeline.store import archive as archive_store
from data_pipeline.store.quarantine import Chosen
from platform_cli.embedded.testing import TestDatabase
from platform_kit.clock import FixedClock

EVER = (date(2020, 1, 1), date(2030, 1, 1))


@pytest.fixture
async def deps(
    database: TestDatabase, engine: AsyncEngine, world: World, tmp_path: Path
) -> AsyncIterator[Deps]:
    settings = settings_for(database.app_url, world.url, archive_url=f"file://{tmp_path}/archive")
    async with deps_for(settings, engine) as deps:
        yield deps


async def archived(deps: Deps) -> list[ArchivedEvent]:
    async with deps.engine.connect() as conn:
        files = await archive_store.files(conn, None, *EVER)
    return [event for file in files for event in await deps.archive.read(file)]


async def assert_whole(deps: Deps) -> None:
    """The archive holds each stored event once, as stored."""
    kept = sorted(await archived(deps), key=lambda event: (event.stream, event.position))
    stored = await rows(
        deps.engine,
        "stored_event",
        "stream, position, event_id, type, aggregate_id, merchant_id, occurred_at, received_at, payload::text",
        "stream, position",
    )
    assert [ArchivedEvent(**row) for row in stored] == kept
    verified = await verify_archive(deps, *EVER)
    assert verified == Verification(verified.files, len(stored), ())


def files_on_disk(deps: Deps) -> list[Path]:
    return sorted(Path(deps.settings.archive_url.removeprefix("file://")).rglob("*.*"))


async def test_every_stored_event_is_archived_once_by_stream_and_day(deps: Deps) -> None:
    told = simulate(NOON.replace(hour=0, minute=20), count=40)  # over midnight
    await ingest(deps.engine, told.payments)
    await ingest(deps.engine, told.assessments, RISK)

    assert await archive_events(deps) == len(told.payments) + len(told.assessments)

    await assert_whole(deps)
    partitions = {
        (row["stream"], row["day"]) for row in await rows(deps.engine, "archive_file", "stream, day")
    }
    assert {day for _, day in partitions} == {NOON.date(), NOON.date() - timedelta(days=1)}
    assert files_on_disk(deps)[0].parent.name == "event_date=2026-11-22"
    assert await archive_events(deps) == 0


async def test_a_crash_between_file_and_manifest_changes_nothing(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ingest(deps.engine, simulate(NOON, count=20).payments)

    async def dies(*_: object) -> bool:
        raise OSError("killed")

    monkeypatch.setattr(job.archive_store, "record", dies)
    with pytest.raises(OSError, match="killed"):
        await archive_events(deps)
    orphans = files_on_disk(deps)
    monkeypatch.undo()

    await archive_events(deps)
    assert files_on_disk(deps) == orphans  # the same events are the same file
    await assert_whole(deps)


async def test_what_a_crash_left_behind_is_deleted_when_others_hold_its_events(
    deps: Deps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the crash more is stored, so the next round writes a longer file beside the first one."""
    await ingest(deps.engine, [a_sale(1)])

    async def dies(*_: object) -> bool:
        raise OSError("killed")

    monkeypatch.setattr(job.archive_store, "record", dies)
    with pytest.raises(OSError, match="killed"):
        await archive_events(deps)
    monkeypatch.undo()
    [orphan] = files_on_disk(deps)
    half = orphan.with_name(orphan.name + ".writing")
    stranger = orphan.with_name("notes.parquet")
    for file in (half, stranger):
        file.write_bytes(b"x")

    def aged(file: Path) -> None:
        os.utime(file, (long_ago := (NOON - timedelta(hours=2)).timestamp(), long_ago))

    for file in (orphan, half, stranger):
        aged(file)
    assert (await tend_archive(deps)).deleted == 0  # nothing else holds its events yet

    await ingest(deps.engine, [a_sale(2)])
    await archive_events(deps)
    [kept] = set(files_on_disk(deps)) - {orphan, half, stranger}
    aged(kept)
    os.utime(half)
    assert (await tend_archive(deps)).deleted == 1
    assert set(files_on_disk(deps)) == {kept, half, stranger}  # half may be somebody's who is writing now
    aged(half)
    assert (await tend_archive(deps)).deleted == 1
    assert set(files_on_disk(deps)) == {kept, stranger}
    await assert_whole(deps)


async def test_two_at_once_archive_once(deps: Deps) -> None:
    await ingest(deps.engine, simulate(NOON, count=20).payments)
    async with archive_lease(deps) as is_ours:
        assert is_ours
        assert await archive_events(deps) == 0  # somebody else has the lease
    await asyncio.gather(archive_events(deps), archive_events(deps))
    await assert_whole(deps)


async def test_what_is_replayed_from_quarantine_later_is_archived_too(deps: Deps) -> None:
    await ingest(deps.engine, [a_sale(1), an_event(2, "payment.teleported.v9"), a_sale(3)])
    await archive_events(deps)
    async with deps.engine.begin() as conn:
        await conn.execute(
            text(
                "UPDATE pipeline.quarantine SET payload = replace(payload, 'payment.teleported.v9',"
                " 'payment.captured.v1')"
            )
        )
    await replay_quarantine(deps, Chosen(), "ada")
    await ingest(deps.engine, [a_sale(4)])

    assert await archive_events(deps) == 2
    await assert_whole(deps)
    assert await archive_events(deps) == 0


async def test_what_was_stored_all_along_is_not_archived_again_by_a_replay(deps: Deps) -> None:
    """Set aside by hand-made mistake although it is stored: the replay says so, the archive has it already."""
    await ingest(deps.engine, [a_sale(1), a_sale(2)])
    await archive_events(deps)
    async with deps.engine.begin() as conn:
        await conn.execute(
            text(
                "INSERT INTO pipeline.quarantine (stream, position, event_id, type, payload, fault, detail)"
                " SELECT stream, position, event_id, type, payload::text, 'not_applicable', ''"
                " FROM pipeline.stored_event WHERE position = 1"
            )
        )
    replayed = await replay_quarantine(deps, Chosen(), "ada")
    assert [one.outcome for one in replayed.events] == ["already_applied"]

    assert await archive_events(deps) == 0
    await assert_whole(deps)


async def test_small_files_of_a_day_become_one_and_readers_of_the_old_ones_are_not_disturbed(
    deps: Deps,
) -> None:
    for position in range(1, 6):
        await ingest(deps.engine, [a_sale(position)])
        await archive_events(deps)
    before = files_on_disk(deps)
    assert len(before) == 5
    assert (await tend_archive(deps)).merged == 0  # today's are still growing

    later = replace(deps, clock=FixedClock(NOON + timedelta(days=1)))
    assert (await tend_archive(later)).merged == 5

    await assert_whole(deps)
    assert set(before) < set(files_on_disk(deps))
    async with deps.engine.begin() as conn:
        await conn.execute(
            text("UPDATE pipeline.archive_file SET replaced_at = :at WHERE replaced_at IS NOT NULL"),
            {"at": NOON},
        )
    assert (await tend_archive(later)).deleted == 5
    assert len(files_on_disk(deps)) == 1
    await assert_whole(deps)


async def test_retention_names_what_it_would_drop_and_drops_whole_days(deps: Deps) -> None:
    await ingest(deps.engine, [a_sale(1, at=NOON - timedelta(days=40)), a_sale(2)])
    await archive_events(deps)
    keeps = replace(deps, settings=deps.settings.model_copy(update={"archive_keep_days": 30}))

    named = await drop_old_partitions(keeps, dry_run=True)
    assert [(row["day"], row["row_count"]) for row in named] == [((NOON - timedelta(days=40)).date(), 1)]
    await assert_whole(deps)

    assert len((await tend_archive(keeps)).dropped) == 1
    assert [event.position for event in await archived(deps)] == [2]
    assert await drop_old_partitions(deps, dry_run=False) == []


async def test_a_changed_byte_a_lost_file_and_a_lost_line_are_seen(deps: Deps) -> None:
    await ingest(deps.engine, [a_sale(1)])
    await archive_events(deps)
    await ingest(deps.engine, [a_sale(2)])
    await archive_events(deps)
    [first, second] = files_on_disk(deps)
    content = first.read_bytes()

    first.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    [fault, missing] = (await verify_archive(deps, *EVER)).faults
    assert "checksum differs" in fault
    assert "1 events archived, 2 stored" in missing
    first.write_bytes(content)
    second.unlink()
    assert "is not there" in (await verify_archive(deps, *EVER)).faults[0]
    async with deps.engine.begin() as conn:
        await conn.execute(text("DELETE FROM pipeline.archive_file WHERE first_position = 2"))
    assert (await verify_archive(deps, *EVER)).faults == (
        "events:payments from 2020-01-01 to 2030-01-01: 1 events archived, 2 stored",
    )


async def test_a_file_that_is_not_whole_is_never_under_its_name(
    deps: Deps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import fsspec.implementations.local

    def dies(*_: object, **__: object) -> None:
        raise OSError("killed")

    monkeypatch.setattr(fsspec.implementations.local.LocalFileSystem, "mv", dies)
    await ingest(deps.engine, [an_event(1)])
    with pytest.raises(OSError, match="killed"):
        await archive_events(deps)
    assert [path.suffix for path in files_on_disk(deps)] == [".writing"]
    assert await scalar(deps.engine, "SELECT count(*) FROM pipeline.archive_file") == 0


async def test_without_an_address_nothing_is_archived_and_nothing_fails(deps: Deps) -> None:
    await ingest(deps.engine, [a_sale(1)])
    assert await archive_events(replace(deps, archive=ArchiveStore(""))) == 0


async def test_any_fsspec_location_will_do(deps: Deps) -> None:
    remote = replace(deps, archive=ArchiveStore("memory://archive"))
    await ingest(deps.engine, [a_sale(1)])
    await ingest(deps.engine, [an_assessment(1)], RISK)
    await archive_events(remote)
    assert (await verify_archive(remote, *EVER)).faults == ()
    async with deps.engine.connect() as conn:
        [file, _] = await archive_store.files(conn, None, *EVER)
    with pytest.raises(ArchiveDamaged):
        await deps.archive.read(file)
    assert file.path in await remote.archive.paths()
    assert (await remote.archive.written_at(file.path)).tzinfo
    assert (await tend_archive(remote)).deleted == 0


async def test_events_that_wait_for_the_archive_are_seen_by_their_age(deps: Deps, logged: list[Any]) -> None:
    def age() -> float | None:
        return REGISTRY.get_sample_value("pipeline_archive_age_seconds")

    await ingest(deps.engine, [a_sale(1)])
    await archive_events(deps)
    await check_archive(deps)
    assert age() == 0

    await ingest(deps.engine, [a_sale(2)])
    came_at = await scalar(deps.engine, "SELECT received_at FROM pipeline.stored_event WHERE position = 2")
    late = replace(deps, clock=FixedClock(came_at + timedelta(minutes=31)))
    await check_archive(late)
    assert age() == 31 * 60
    assert [line["event"] for line in logged if line["log_level"] == "error"] == [
        "events wait for the archive"
    ]

    await archive_events(deps)
    await check_archive(late)
    assert age() == 0
