"""Lineage: what is told of a run, and where each number comes from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pipeline_rig import a_sale, deps_for, ingest, settings_for
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.clients import lineage_events
from data_pipeline.clients.lineage_events import lineage_to
from data_pipeline.domain.lineage import JOBS, PUBLISH, STORES
from data_pipeline.operations.publish_snapshot import publish_snapshot
from data_pipeline.operations.tell_lineage import lineage_of
from data_pipeline.store import tables
from data_pipeline.store.column_lineage import page, report_columns
from platform_cli.embedded.testing import TestDatabase

PAGE = Path(__file__).parents[4] / "docs/data-lineage.md"


def told(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_run_tells_its_start_and_end_with_schemas(
    database: TestDatabase, engine: AsyncEngine, tmp_path: Path
) -> None:
    settings = settings_for(
        database.app_url,
        snapshot_url=f"file://{tmp_path}/facts",
        lineage_url=f"file://{tmp_path}/lineage/events.jsonl",
    )
    async with deps_for(settings, engine) as deps:
        await ingest(engine, [a_sale(1)])
        await publish_snapshot(deps)
        with pytest.raises(ZeroDivisionError):
            async with lineage_of(deps, PUBLISH):
                _ = 1 // 0
    start, complete, again, fail = told(tmp_path / "lineage/events.jsonl")
    assert [one["eventType"] for one in (start, complete, again, fail)] == [
        "START", "COMPLETE", "START", "FAIL",
    ]  # fmt: skip
    assert start["run"]["runId"] == complete["run"]["runId"] != fail["run"]["runId"]
    assert (start["job"]["namespace"], start["job"]["name"]) == ("data-pipeline", "publish_snapshot")
    payments = next(one for one in start["inputs"] if one["name"].endswith("pipeline.fact_payment"))
    assert payments["namespace"].startswith("postgres://")
    fields = {one["name"] for one in payments["facets"]["schema"]["fields"]}
    assert {"payment_id", "captured_minor"} <= fields
    assert {one["name"] for one in complete["outputs"]} >= {f"{tmp_path}/facts"}
    assert fail["run"]["facets"]["errorMessage"]["message"] == "ZeroDivisionError"
    assert database.app_url.partition("@")[0].rpartition(":")[2] not in json.dumps(start)  # the password


async def test_a_collector_gets_the_same_over_http_and_may_be_away(
    database: TestDatabase, engine: AsyncEngine
) -> None:
    got: list[dict[str, Any]] = []

    async def collect(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/api/v1/lineage", collect)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    settings = settings_for(database.app_url, lineage_url=f"http://{host}:{port}")
    async with deps_for(settings, engine) as deps:
        async with lineage_of(deps, PUBLISH):
            pass
        await runner.cleanup()
        assert [one["eventType"] for one in got] == ["START", "COMPLETE"]
    nobody = settings_for(database.app_url, lineage_url=f"http://{host}:{port}/gone")
    async with deps_for(nobody, engine) as deps, lineage_of(deps, PUBLISH):
        ran = True
    assert ran


async def test_a_full_file_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage_events, "FILE_MAX_BYTES", 100)
    events = lineage_to(f"file://{tmp_path}/events.jsonl")
    from datetime import UTC, datetime

    for kind in ("START", "COMPLETE"):
        await events.tell(kind, events.new_run(), PUBLISH, datetime(2026, 11, 23, tzinfo=UTC), [], [])
    assert [one["eventType"] for one in told(tmp_path / "events.jsonl.1")] == ["START"]
    assert [one["eventType"] for one in told(tmp_path / "events.jsonl")] == ["COMPLETE"]


def test_jobs_name_tables_and_stores_that_there_are() -> None:
    known = {table.name for table in tables.metadata.sorted_tables} | set(STORES)
    assert {name for job in JOBS for name in (*job.inputs, *job.outputs)} <= known


def test_every_measure_of_every_report_has_a_source_in_a_table_that_reports_read() -> None:
    for columns in report_columns().values():
        for _, sources in columns:
            assert sources
            assert all(one.startswith(("fact_", "reconciliation_break.", "(rows")) for one in sources)


def test_a_sum_of_two_columns_comes_from_both() -> None:
    volume = dict(report_columns()["volume"])
    assert volume["net_minor"] == ["fact_payment.captured_minor", "fact_payment.refunded_minor"]


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text() == page(), "make lineage"
