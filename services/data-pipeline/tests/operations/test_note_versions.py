"""Deploys are noticed by what services answer, and stand as marks on the overview's chart."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from pipeline_rig import NOON, World, rows
from running_service import Service
from seeded_day import Seeded

from data_pipeline.api.console.chart import deploy_marks
from data_pipeline.domain.versions import ROLL_OUT, Seen, is_change
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.note_versions import note_versions
from platform_kit.clock import FixedClock

MINUTE = timedelta(minutes=1)


def at(deps: Deps, minutes: int) -> Deps:
    return replace(deps, clock=FixedClock(NOON + minutes * MINUTE))


async def test_a_version_is_noted_when_it_changes_and_not_each_time(deps: Deps, world: World) -> None:
    assert await note_versions(at(deps, -90)) == ["gateway", "risk", "data-pipeline"]
    assert await note_versions(at(deps, -80)) == []
    world.versions["gateway"] = "1.3.0"
    assert await note_versions(at(deps, -20)) == ["gateway"]
    world.is_down.add("risk")
    assert await note_versions(at(deps, -19)) == []
    noted = await rows(deps.engine, "service_version", "service, version")
    assert sorted(f"{row['service']} {row['version']}" for row in noted) == [
        "data-pipeline dev", "gateway 1.2.3", "gateway 1.3.0", "risk 1.2.3",
    ]  # fmt: skip


async def test_two_looks_at_once_note_a_change_once(deps: Deps) -> None:
    await asyncio.gather(*(note_versions(at(deps, minutes)) for minutes in (0, 1, 2)))
    assert len(await rows(deps.engine, "service_version", "service")) == 3


def test_an_old_pod_that_still_answers_is_no_roll_back_and_a_roll_back_is_one() -> None:
    known = [Seen("2", NOON), Seen("1", NOON - timedelta(days=1))]
    assert not is_change(known, "2", NOON + MINUTE)
    assert not is_change(known, "1", NOON + MINUTE)
    assert is_change(known, "1", NOON + ROLL_OUT)
    assert is_change(known, "3", NOON + MINUTE)
    assert is_change([], "1", NOON)


async def test_a_deploy_is_a_mark_on_the_overview(service: Service, seeded: Seeded, world: World) -> None:
    await note_versions(at(service.deps, -90))
    assert "deploy at" not in await service.page("/console")
    world.versions["gateway"] = "1.3.0"
    await note_versions(at(service.deps, -12))
    page = await service.page("/console")
    assert "deploy at 11:48 gateway 1.3.0, before it 1.2.3" in page
    assert page.count('class="mark"') == 1


def test_a_mark_stands_where_its_moment_is_and_one_beyond_the_plot_is_left_out() -> None:
    told = {"service": "risk", "version": "2", "before": "1"}
    marks = deploy_marks(
        [told | {"seen_at": NOON + minutes * MINUTE} for minutes in (-1, 0, 30, 60)], NOON, 60 * MINUTE
    )
    assert [mark.x for mark in marks] == [0, 50]
