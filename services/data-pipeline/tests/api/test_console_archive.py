"""The archive in the console: what it holds and lacks, the proof, and a replay that is followed and cancelled."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from pipeline_rig import an_event, ingest, rows
from running_service import Service, logged_in

from data_pipeline.clients.archive_store import ArchiveStore
from data_pipeline.domain.operators import Role
from data_pipeline.operations.archive_events import archive_events
from data_pipeline.operations.replay_archive import replay_archive

PATH = "/console/archive"
DAY = {"first": "2026-11-23", "last": "2026-11-23"}


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


@pytest.fixture
async def kept_in(service: Service, tmp_path: Path) -> Path:
    """An archive with three events, of which a fourth is set aside."""
    archive = ArchiveStore(f"file://{tmp_path}/archive")
    service.app.state.deps = service.deps = replace(service.deps, archive=archive)
    for position in (1, 2, 4):
        await ingest(service.deps.engine, [an_event(position)])
        if position == 2:
            await ingest(service.deps.engine, [an_event(3, "payment.teleported.v9")])
    await archive_events(service.deps)
    return tmp_path / "archive"


async def test_without_an_archive_the_page_says_how_to_have_one(service: Service) -> None:
    text = text_of(await service.page(PATH))
    assert "Set ARCHIVE_URL" in text
    assert "Nothing is archived yet" in text
    assert "Build anew" not in text
    assert (await service.send(f"{PATH}/replays", {"reason": "a drill"}))[0] == 409


async def test_files_and_holes_are_told_and_what_was_set_aside_is_no_hole(
    service: Service, kept_in: Path
) -> None:
    text = text_of(await service.page(PATH))
    assert "2026-11-23 events:payments 1 3" in text
    assert "missing" not in text
    async with service.deps.engine.begin() as conn:
        await conn.exec_driver_sql("UPDATE pipeline.archive_file SET row_count = 2")
    assert "1 event is missing" in text_of(await service.page(PATH))


async def test_the_proof_reads_every_file_and_names_each_fault(service: Service, kept_in: Path) -> None:
    status, _, html = await service.send(f"{PATH}/verify", DAY)
    assert (status, "1 file read whole, 3 events in them" in text_of(html)) == (200, True)
    [file] = list(kept_in.rglob("*.parquet"))  # noqa: ASYNC240 - a directory with one file
    file.write_bytes(b"something else")
    _, _, html = await service.send(f"{PATH}/verify", DAY)
    assert "its checksum differs" in html
    for wrong in ({}, DAY | {"last": "2026-11-22"}, DAY | {"last": "2026-11-30"}):
        assert (await service.send(f"{PATH}/verify", wrong))[0] == 422


async def test_a_replay_is_started_with_a_reason_followed_and_swapped(
    service: Service, kept_in: Path
) -> None:
    assert (await service.send(f"{PATH}/replays", {"reason": ""}))[0] == 422
    assert (await service.send(f"{PATH}/replays", {"reason": "a drill"}))[0] == 303
    status, _, html = await service.send(f"{PATH}/replays", {"reason": "another"})
    assert (status, "Another replay is not finished" in html) == (409, True)
    assert "one at a time" in html
    await replay_archive(service.deps)
    text = text_of(await service.page(PATH))
    assert "swapped" in text
    assert "3 of 3" in text
    [run] = await rows(service.deps.engine, "replay_run")
    assert (run["actor"], run["may_differ"]) == ("admin-1", False)


async def test_a_replay_is_cancelled_and_only_by_who_may(service: Service, kept_in: Path) -> None:
    await service.send(f"{PATH}/replays", {"reason": "a drill", "may_differ": "true"})
    [run] = await rows(service.deps.engine, "replay_run")
    viewer = await logged_in(service.deps, Role.VIEWER, "theirs")
    for path in (f"{PATH}/replays", f"{PATH}/replays/{run['id']}/cancel"):
        assert (await service.send(path, {"reason": "mine"}, session_id=viewer))[0] == 403
    assert (await service.send(f"{PATH}/verify", DAY, session_id=viewer))[0] == 200
    assert (await service.send(f"{PATH}/replays/{run['id']}/cancel", {}))[0] == 303
    [run] = await rows(service.deps.engine, "replay_run")
    assert (run["state"], run["detail"], run["may_differ"]) == ("cancelled", "cancelled by admin-1", True)
