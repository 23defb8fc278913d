"""The system page: what is stuck stands on top, and what does not answer takes nothing else away. And the badges."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pipeline_rig import NOON, World, a_sale, ingest, settings_for
from running_service import Service
from seeded_day import Seeded
from sqlalchemy import text

from data_pipeline.clients import service_api
from data_pipeline.domain.invariants import Invariant
from data_pipeline.operations import count_waiting
from data_pipeline.operations.verify_invariants import verify_invariants
from platform_cli.embedded.testing import TestDatabase
from platform_kit.clock import FixedClock
from platform_kit.db import create_engine

ALL_GOES = "Every service answers, every job ran, every invariant that was judged holds."


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for a moment is no service that hangs."""
    monkeypatch.setattr(service_api, "DOOR_TIMEOUT_S", 5.0)


def text_of(html: str) -> str:
    """What a reader sees, on one line."""
    visible = re.sub(r"<(script|style|title|svg)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", visible)).strip()


async def ran(service: Service, job: str, *, ago: timedelta, **changes: Any) -> None:
    """One slot of a scheduled job, finished after two seconds."""
    at = NOON - ago
    values = {"job": f"pipeline.{job}", "slot": at, "claimed": at, "finished": at + timedelta(seconds=2)}
    async with service.deps.engine.begin() as conn:
        await conn.execute(
            text(
                "INSERT INTO pipeline.job_run (job, slot, claimed_at, finished_at)"
                " VALUES (:job, :slot, :claimed, :finished)"
            ),
            values | changes,
        )


async def test_all_that_goes_is_said_in_one_line(service: Service, seeded: Seeded, world: World) -> None:
    world.events["gateway"] = seeded.payments
    await verify_invariants(service.deps)
    await ran(service, "verify_invariants", ago=timedelta(minutes=1))
    page = text_of(await service.page("/console/system"))
    assert ALL_GOES in page
    position = f"{len(seeded.payments):,}"
    assert f"warehouse payments {position} {position} 0" in page
    assert "verify invariants done 1 min ago 2.00 s" in page
    assert "gateway version 1.2.3 ready" in page
    assert "balances equal ledger holds critical" in page
    assert "accounts by hour 2026-11-23 11:00:00" in page.lower()
    assert "Every event was understood." in page


async def test_what_is_stuck_stands_on_top(service: Service, database: TestDatabase, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    await ran(service, "archive_events", ago=timedelta(minutes=9), claimed=NOON - timedelta(minutes=9))
    epoch = NOON - (NOON - NOON.fromtimestamp(0, NOON.tzinfo))
    await ran(service, "archive_events", ago=timedelta(minutes=4), claimed=epoch, finished=None)
    await ran(service, "tend_archive", ago=timedelta(hours=4))
    await ran(service, "reconcile_recent", ago=timedelta(minutes=10))
    await ran(service, "reconcile_recent", ago=timedelta(minutes=9))
    await ran(service, "drop_exports", ago=timedelta(minutes=100))
    await ran(service, "drop_exports", ago=timedelta(minutes=40))
    await ran(service, "make_exports", ago=timedelta(seconds=3), finished=None)
    world.events["gateway"] = [a_sale(1), a_sale(1, 2)]
    await verify_invariants(service.deps)
    admin = create_engine(settings_for(database.admin_url))
    async with admin.begin() as conn:
        await conn.execute(text("UPDATE pipeline.alembic_version SET version_num = '20261127_61'"))
    await admin.dispose()
    page = text_of(await service.page("/console/system"))
    top = page[: page.index("Streams and their readers")]
    assert "archive events failed" in top
    assert "tend archive late" in top
    assert "reconcile recent late" in top
    assert "exports" not in top
    assert "make exports running" in page
    assert "balances equal ledger does not hold" in top
    assert "the schema has another revision than this version" in top
    assert "archive events failed 4 min ago well 8 min ago" in page
    assert ALL_GOES not in page


@pytest.mark.parametrize("service_away", ["gateway", "risk"])
async def test_a_service_that_does_not_answer_takes_nothing_else_away(
    service: Service, seeded: Seeded, world: World, service_away: str
) -> None:
    world.hangs.add(service_away)
    page = text_of(await service.page("/console/system"))
    assert "no scheduled job has run" in page
    assert f"{service_away} does not answer" in page
    other = {"gateway": "risk", "risk": "gateway"}[service_away]
    assert f"{other} version 1.2.3 ready" in page
    assert "warehouse payments" in page


async def test_a_service_that_hangs_is_left_long_before_a_read_would_end(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_api, "DOOR_TIMEOUT_S", 0.05)
    world.hangs.add("gateway")
    began = time.perf_counter()
    assert (await service.deps.gateway.door()).version is None
    assert time.perf_counter() - began < service_api.READ_TIMEOUT_S


async def test_a_service_that_is_not_ready_says_why(service: Service, world: World) -> None:
    world.not_ready["risk"] = {"redis": "ConnectionError"}
    page = text_of(await service.page("/console/system"))
    assert "risk is not ready: redis" in page


async def badges(service: Service) -> dict[str, int]:
    """Words of the rail with their numbers."""
    page = await service.page("/console/payments")
    rail = text_of(page[page.index('<nav class="rail"') : page.index("</nav>")])
    words = rail.split()
    return {words[at - 1]: int(word) for at, word in enumerate(words) if word.isdecimal()}


async def test_badges_say_where_somebody_must_act(
    service: Service, seeded: Seeded, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(count_waiting, "COUNT_EVERY_S", 0.05)
    world.risk_lists = {"cases": 3, "alerts": 2}
    for _ in range(100):
        if len(found := await badges(service)) == 3:
            break
        await asyncio.sleep(0.05)
    assert found == {"Queue": 3, "Alerts": 2, "Reconciliation": 4}
    world.risk_lists = {"cases": 0, "alerts": 2}
    for _ in range(100):
        if "Queue" not in (found := await badges(service)):
            break
        await asyncio.sleep(0.05)
    assert found == {"Alerts": 2, "Reconciliation": 4}


async def incidents(service: Service) -> str:
    page = await service.page("/console")
    return text_of(page[page.index('<ul class="incidents"') : page.index("</ul>", page.index("incidents"))])


async def test_green_is_only_what_was_asked_and_answered(
    service: Service, seeded: Seeded, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(count_waiting, "COUNT_EVERY_S", 0.05)

    async def until(words: str) -> str:
        for _ in range(100):
            if words in (found := await incidents(service)):
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"{words} is not in: {found}")

    first = await incidents(service)
    assert "Alerts not known: the risk engine has not told" in first
    assert f"{len(Invariant)} invariants not judged" in first
    world.is_down.add("gateway")
    await verify_invariants(service.deps)
    assert "2 invariants not judged" in await incidents(service)
    world.is_down.clear()
    world.events["gateway"] = seeded.payments
    await verify_invariants(service.deps)
    async with service.deps.engine.begin() as conn:
        await conn.execute(text("UPDATE pipeline.reconciliation_break SET closed_at = :at"), {"at": NOON})
    assert await until("No alert") == "No alert, no break, nothing stale, every invariant holds"

    world.risk_lists = {"cases": 51, "alerts": 50}
    assert await until("50 alerts") == "50 alerts firing 50+ cases to decide"
    service.app.state.deps = replace(service.app.state.deps, clock=FixedClock(NOON + timedelta(seconds=11)))
    assert "Payments are 11 s old Assessments are 11 s old" in await incidents(service)
    async with service.deps.engine.begin() as conn:
        await conn.execute(text("DELETE FROM pipeline.reconciliation_run"))
    assert "Neither today nor yesterday was reconciled" in await incidents(service)


async def test_a_page_does_not_wait_for_its_badges_and_asks_once_in_a_while(
    service: Service, world: World
) -> None:
    world.hangs.add("risk")
    began = time.perf_counter()
    for _ in range(5):
        await service.page("/console/payments")
    assert time.perf_counter() - began < 10  # each would wait for four seconds and more
    assert world.asked_lists <= 2


async def test_the_last_backup_stands_there_where_it_can_be_seen(service: Service, tmp_path: Path) -> None:
    assert "This process does not see them" in await service.page("/console/system")
    settings = service.deps.settings.model_copy(update={"backups_dir": tmp_path / "backups"})
    service.app.state.deps = replace(service.deps, settings=settings)
    assert "None was made on this machine" in await service.page("/console/system")
    for name in ("2026-11-22T021700Z", "2026-11-21T021700Z", ".partial-2026-11-23T021700Z", "notes"):
        (tmp_path / "backups" / name).mkdir(parents=True)
    (tmp_path / "backups" / "2026-11-22T021700Z" / "platform.dump").write_bytes(b"x" * 184_423)
    text = text_of(await service.page("/console/system"))
    assert "Last one 1 d ago 2026-11-22T021700Z Its dump 184 kB Kept 2" in text
    assert "the last backup is older than 30 hours" in text
