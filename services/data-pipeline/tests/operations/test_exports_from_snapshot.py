"""Exports of payments over days that are over read the snapshot, and are the same, byte by byte, as read live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pipeline_rig import NOON, World, a_payment, a_sale, an_event, deps_for, ingest, settings_for
from seeded_day import fill
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.clients.table_files import open_table_file
from data_pipeline.domain.export_parts import Part, parts_of
from data_pipeline.domain.exports import PAYMENT_COLUMNS, FileFormat
from data_pipeline.domain.questions import Question, ask
from data_pipeline.domain.report_definition import ReportName
from data_pipeline.domain.snapshot import PartitionFile
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.publish_snapshot import publish_snapshot
from data_pipeline.operations.read_payments import payment_slices
from platform_cli.embedded.testing import TestDatabase
from platform_kit.clock import FixedClock, isoformat

DAYS = [NOON - timedelta(days=days) for days in (3, 2, 1)]


@pytest.fixture
async def deps(
    database: TestDatabase, engine: AsyncEngine, world: World, tmp_path: Path
) -> AsyncIterator[Deps]:
    """Payments of four days, those of today among them, and a snapshot of the day after."""
    settings = settings_for(database.app_url, world.url, snapshot_url=f"file://{tmp_path}/facts")
    async with deps_for(settings, engine) as deps:
        told = await fill(deps, world, NOON)
        first = len(told.payments)
        sales = [
            a_sale(first + n, 900 + n, created_at=isoformat(day), at=day, reference=None if n % 2 else "=1+1")
            for n, day in enumerate((day for day in DAYS for _ in range(5)), start=1)
        ]
        await ingest(engine, sales)
        deps = replace(deps, clock=FixedClock(NOON + timedelta(hours=1)))
        await publish_snapshot(deps)
        yield deps


def asked(**filters: str) -> Question:
    return ask(
        ReportName.VOLUME, NOON - timedelta(days=2, hours=13), NOON + timedelta(days=1), filters=filters
    )


async def exported(deps: Deps, question: Question, directory: Path, slice_rows: int = 4) -> dict[str, bytes]:
    files = {}
    for format_ in FileFormat:
        path = directory / f"payments.{format_}"
        file = open_table_file(format_, path, PAYMENT_COLUMNS)
        async for _, rows in payment_slices(deps, question, slice_rows):
            file.append(rows)
        file.close()
        files[str(format_)] = path.read_bytes()
    return files


def live(deps: Deps) -> Deps:
    return replace(deps, settings=deps.settings.model_copy(update={"snapshot_url": ""}))


async def ids(deps: Deps, question: Question) -> list[Any]:
    return [row["payment_id"] async for _, rows in payment_slices(deps, question, 3) for row in rows]


@pytest.mark.parametrize(
    "filters", [{}, {"channel": "card_sim", "currency": "EUR"}, {"merchant_id": "mer_none"}]
)
async def test_an_export_over_the_snapshot_is_the_live_one(
    deps: Deps, tmp_path: Path, filters: dict[str, str]
) -> None:
    question = asked(**filters)
    assert await exported(deps, question, tmp_path) == await exported(live(deps), question, tmp_path)


async def test_days_that_are_over_are_read_from_their_files_until_something_changes(
    deps: Deps, tmp_path: Path
) -> None:
    """What no event can do, done to the live table, shows which one is read."""
    hidden = (
        "UPDATE pipeline.fact_payment SET channel = 'hidden' WHERE created_at < CAST(:today AS timestamptz)"
    )
    async with deps.engine.begin() as conn:
        await conn.execute(text(hidden), {"today": datetime(2026, 11, 23, tzinfo=UTC)})
    question = asked(channel="hidden")
    assert await ids(deps, question) == [], "the days whole in the range come from their files"
    assert len(await ids(live(deps), question)) == 10
    late = a_payment(999, created_at=isoformat(DAYS[2]), channel="hidden")
    await ingest(deps.engine, [an_event(5000, payment=late, at=NOON)])
    assert len(await ids(deps, question)) == 6, "a day with a mark is read live, until it is published anew"


async def test_a_file_that_is_gone_or_changed_is_read_live(deps: Deps, tmp_path: Path) -> None:
    question = asked()
    wanted = await ids(live(deps), question)
    one, other, *_ = sorted((tmp_path / "facts/fact_payment").glob("event_date=*/part-*.parquet"))[1:]
    one.unlink()
    other.write_bytes(b"PAR1")
    assert await ids(deps, question) == wanted


def test_the_parts_of_a_range_have_neither_gap_nor_overlap() -> None:
    def file(day: int) -> PartitionFile:
        return PartitionFile(date(2026, 11, day), f"{day}", 1, 1, "")

    def at(day: int, hour: int = 0) -> datetime:
        return datetime(2026, 11, day, hour, tzinfo=UTC)

    assert parts_of(at(1, 6), at(6, 6), [file(1), file(4), file(2), file(6)]) == [
        Part(at(1, 6), at(2)),
        Part(at(2), at(3), file(2)),
        Part(at(3), at(4)),
        Part(at(4), at(5), file(4)),
        Part(at(5), at(6, 6)),
    ]
    assert parts_of(at(1), at(2), [file(1)]) == [Part(at(1), at(2), file(1))]
    assert parts_of(at(1), at(2), []) == [Part(at(1), at(2))]
