"""`platform data` as a person types it, against a real pipeline."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from platform_cli.data.pipeline import acting_for
from platform_cli.embedded.serving import serving
from platform_cli.embedded.testing import FreshDatabase

sys.path.insert(0, str(Path(__file__).parents[3] / "services/data-pipeline/tests"))

from merchant_story import Story
from pipeline_rig import TOKEN, an_event, ingest, rows, settings_for
from running_service import employ

from data_pipeline.app import create_pipeline
from data_pipeline.operations.archive_events import archive_events
from data_pipeline.operations.check_settlements import check_settlements
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.make_exports import make_exports
from data_pipeline.operations.publish_snapshot import publish_snapshot
from data_pipeline.operations.replay_archive import replay_archive
from data_pipeline.operations.settle_merchants import settle_merchants


@dataclass
class Pipeline:
    """A running API and its database."""

    url: str
    deps: Deps

    async def platform(self, *words: str) -> tuple[int, str, str]:
        """Exit code, output and errors of one command."""
        env = os.environ | {"PIPELINE_URL": self.url, "INTERNAL_TOKEN": TOKEN, "PLATFORM_OPERATOR": "ada"}
        command = [sys.executable, "-m", "platform_cli.app", "data", *words]
        done = await asyncio.to_thread(
            subprocess.run, command, env=env, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
async def pipeline(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Pipeline]:
    database = await fresh_database("pipeline")
    app = create_pipeline(settings_for(database.app_url, archive_url=f"file://{tmp_path}"))
    async with serving(app) as url:
        await employ(app.state.deps, ada="operator")
        yield Pipeline(url, app.state.deps)


async def test_what_was_set_aside_is_listed_shown_replayed_and_discarded(pipeline: Pipeline) -> None:
    assert (await pipeline.platform("quarantine", "list"))[1].strip() == "nothing was set aside"
    await ingest(pipeline.deps.engine, [an_event(1, "payment.teleported.v9")])
    [row] = [str(row["id"]) for row in await rows(pipeline.deps.engine, "quarantine")]

    code, out, _ = await pipeline.platform("quarantine", "list", "--stream", "payments")
    assert (code, "payment.teleported.v9" in out, "unknown_type" in out) == (0, True, True)
    assert "told by payment-gateway" in (await pipeline.platform("quarantine", "show", row))[1]

    code, _, err = await pipeline.platform("quarantine", "replay")
    assert (code, "Say which" in err) == (2, True)
    code, out, _ = await pipeline.platform("quarantine", "replay", "--all")
    assert (code, "1 refused" in out) == (1, True)

    code, out, _ = await pipeline.platform("quarantine", "discard", row, "--reason", "a type of the future")
    assert (code, out.strip()) == (0, "1 discarded")
    shown = json.loads((await pipeline.platform("quarantine", "show", row, "--json"))[1])
    assert (shown["state"], shown["resolved_by"], shown["reason"]) == (
        "discarded",
        "ada",
        "a type of the future",
    )
    assert (await pipeline.platform("quarantine", "replay", row))[1].splitlines()[
        0
    ] == f"{row}  not_open  discarded"


async def test_the_archive_is_listed_and_verified(pipeline: Pipeline, tmp_path: Path) -> None:
    await ingest(pipeline.deps.engine, [an_event(1), an_event(2)])
    assert "nothing is archived yet" in (await pipeline.platform("archive", "list"))[1]
    await archive_events(pipeline.deps)
    code, out, _ = await pipeline.platform("archive", "list")
    assert (code, "archived 2 of 2" in out, "2026-11-23" in out) == (0, True, True)
    assert (await pipeline.platform("archive", "verify"))[:2] == (0, "1 files, 2 events, 0 faults\n")
    assert "nothing would be dropped" in (await pipeline.platform("archive", "retention"))[1]
    [file] = list(tmp_path.rglob("*.parquet"))  # noqa: ASYNC240 - a directory with one file
    file.write_bytes(b"something else")
    code, out, _ = await pipeline.platform("archive", "verify", "--from", "2026-11-23")
    assert (code, "checksum differs" in out) == (1, True)


async def test_quality_is_told_and_a_blocked_day_is_an_exit_code(pipeline: Pipeline) -> None:
    code, out, _ = await pipeline.platform("quality")
    assert (code, "fact_payment" in out) == (0, True)
    await ingest(pipeline.deps.engine, [an_event(1), an_event(2)])
    async with pipeline.deps.engine.begin() as conn:
        await conn.execute(text("UPDATE pipeline.fact_payment SET score = 101 WHERE payment_id LIKE '%1'"))
    await publish_snapshot(pipeline.deps)
    code, out, _ = await pipeline.platform("quality")
    assert (code, "fact_payment.score: score_range blocks, 1 rows" in out, "50.00%" in out) == (1, True, True)
    told = json.loads((await pipeline.platform("quality", "--json"))[1])
    assert told["blocked_count"] == 1


async def test_a_replay_is_asked_for_watched_and_listed(pipeline: Pipeline) -> None:
    await ingest(pipeline.deps.engine, [an_event(1), an_event(2)])
    assert "no replays" in (await pipeline.platform("replay", "list"))[1]
    watching = asyncio.create_task(pipeline.platform("replay", "start", "--reason", "a drill", "--watch"))
    async with asyncio.timeout(30):
        while not await rows(pipeline.deps.engine, "replay_run"):  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.1)
    code, _, err = await pipeline.platform("replay", "start", "--reason", "another")
    assert (code, "not finished" in err) == (1, True)
    await replay_archive(pipeline.deps)  # as the worker does
    code, out, _ = await watching
    assert (code, "swapped  2 of 2 events" in out) == (0, True)
    assert "a drill" in (await pipeline.platform("replay", "list"))[1]


async def test_a_report_is_shown_and_its_file_fetched_and_checked(pipeline: Pipeline, tmp_path: Path) -> None:
    await ingest(pipeline.deps.engine, [an_event(1), an_event(2)])
    span = ("--from", "2026-11-23T00:00:00Z", "--to", "2026-11-24T00:00:00Z")
    code, out, _ = await pipeline.platform("report", "volume", *span, "--by", "channel")
    assert (code, "card_sim" in out, "2,500" in out, "position 2" in out) == (0, True, True, True)
    assert "Approval rate" in (await pipeline.platform("report"))[1]
    code, _, err = await pipeline.platform("report", "volume", "--by", "colour")
    assert (code, "split by colour" in err) == (1, True)

    out_file = tmp_path / "payments.csv"
    fetching = asyncio.create_task(pipeline.platform("export", "payments", *span, "--out", str(out_file)))
    while not fetching.done():
        await make_exports(pipeline.deps)  # as the worker does every five seconds
        await asyncio.sleep(0.2)
    code, out, err = await fetching
    assert code == 0, err
    assert ("2 rows" in out, "captured_minor 2,500" in out) == (True, True)
    assert len(out_file.read_text().splitlines()) == 3


def test_who_acts_is_who_was_named_and_else_the_operator_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONSOLE_OPERATOR", "demo")
    monkeypatch.delenv("PLATFORM_OPERATOR", raising=False)
    assert acting_for(None) == {"Acting-For": "demo"}
    monkeypatch.setenv("PLATFORM_OPERATOR", "grace")
    assert acting_for(None) == {"Acting-For": "grace"}
    assert acting_for("ada") == {"Acting-For": "ada"}


async def test_a_settlement_is_listed_closed_shown_and_its_statement_fetched(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    assert "no settlements yet" in (await pipeline.platform("settlements", "list"))[1]
    story = Story(at=datetime.now(UTC) - timedelta(hours=1))
    story.capture(1, 4_000, fee=81)
    await ingest(pipeline.deps.engine, story.events)
    deps = replace(
        pipeline.deps,
        settings=pipeline.deps.settings.model_copy(update={"exports_url": f"file://{tmp_path}/exports"}),
    )
    await settle_merchants(deps)
    code, out, _ = await pipeline.platform("settlements", "list", "open", "--json")
    batch = json.loads(out)["id"]

    code, out, _ = await pipeline.platform("settlements", "statement", batch)
    assert (code, "is open: its csv statement is not made yet" in out) == (1, True)
    assert (await pipeline.platform("settlements", "close", batch))[0] == 1  # ada is an operator, not finance
    await employ(pipeline.deps, grace="finance")
    code, out, _ = await pipeline.platform("settlements", "close", batch, "--as", "grace")
    assert (code, "is closed with 2 lines; 39.19 EUR are carried over" in out) == (0, True)
    assert (await pipeline.platform("settlements", "close", batch, "--as", "grace"))[0] == 1
    await settle_merchants(deps)
    code, out, _ = await pipeline.platform("settlements", "checks")
    assert (code, "1 wait for the first time" in out) == (0, True)
    await check_settlements(pipeline.deps, budget_s=600)
    code, out, _ = await pipeline.platform("settlements", "checks")
    assert (code, "0 wait for the first time" in out, "no movement was left out" in out) == (0, True, True)
    _, out, _ = await pipeline.platform("settlements", "show", batch)
    assert "reconciled, closed by grace" in out
    assert "-0.81 EUR" in (await pipeline.platform("settlements", "lines", batch))[1]
    path = tmp_path / "statement.pdf"
    code, out, _ = await pipeline.platform("settlements", "statement", batch, "-f", "pdf", "-o", str(path))
    assert (code, path.read_bytes()[:5]) == (0, b"%PDF-")
    assert hashlib.sha256(path.read_bytes()).hexdigest() in out
