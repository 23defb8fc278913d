"""Can the figures be trusted? Scores of the facts over time, rules that are broken now, days that wait for mending."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.keyset import Unclear
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.domain.quality import RULES
from data_pipeline.domain.rollups import CorrectionKey, closed_before
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.publish_snapshot import BUDGET_S
from data_pipeline.operations.report_quality import DAYS, report_quality
from data_pipeline.operations.report_rollups import Wanted, list_corrections, sum_corrections

CELL_PX: Final = 10
HEIGHT_PX: Final = 24
LEAST_PX: Final = 3.0  # so that a day without any good row still is a bar
CORRECTIONS: Final = "/console/quality/corrections"
PAGE: Final = 100

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)
Word = Annotated[str, Query(max_length=300, pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, slots=True)
class ScoreBar:
    """The worst look of one day: as high as its score, in one of three tones."""

    x: int
    height: float
    tone: str
    title: str


@router.get("/console/quality")
async def show_quality_page(request: Request, deps: Deps = Depends(deps_of)) -> Response:
    """Scores, failures, and what is blocked."""
    found, today = await report_quality(deps), deps.clock.now().date()
    corrections = await sum_corrections(deps, today - timedelta(days=DAYS - 1))
    return page(
        request,
        "quality.html",
        quality=found,
        bars={one.name: score_bars(one.history, today) for one in found.tables},
        width=DAYS * CELL_PX,
        height=HEIGHT_PX,
        days=DAYS,
        rules=RULES,
        budget_s=round(BUDGET_S),
        rows_max=deps.settings.snapshot_rows_max,
        corrections=corrections,
    )


@router.get("/console/quality/corrections")
async def show_corrections_page(
    request: Request, day: Word = "", currency: Word = "", before: Word = "", deps: Deps = Depends(deps_of)
) -> Response:
    """What was booked to closed days, the newest first."""
    typed = {"day": day.strip(), "currency": currency.strip().upper()}
    wanted = Wanted(_day(typed["day"]), typed["currency"] or None)
    found = await list_corrections(deps, wanted, _key(before), PAGE)
    address = f"{CORRECTIONS}?{urlencode({name: value for name, value in typed.items() if value})}"
    older = f"{address}&{urlencode({'before': _word(found[-1])})}" if len(found) == PAGE else None
    return page(
        request,
        "corrections.html",
        lines=[{**line, "day_after": line["corrects_on"] + timedelta(days=1)} for line in found],
        typed=typed,
        is_filtered=any(typed.values()),
        first=address if before else None,
        older=older,
        closed_until=(closed_before(deps.clock.now().date()) - timedelta(days=1)).date(),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Unclear("A day is written like 2026-11-23.") from None


def _word(line: Mapping[str, Any]) -> str:
    return "~".join(str(line[field.name]) for field in fields(CorrectionKey))


def _key(word: str) -> CorrectionKey | None:
    """Where a page begins. Raises Unclear."""
    if not word:
        return None
    try:
        booked_on, corrects_on, *rest = word.split("~")
        return CorrectionKey(date.fromisoformat(booked_on), date.fromisoformat(corrects_on), *rest)
    except (ValueError, TypeError):
        raise Unclear("Go back to the first page.") from None


def score_bars(history: Mapping[date, Mapping[str, Any]], today: date) -> list[ScoreBar]:
    """A bar a day of looking, oldest first; days without a look stay empty."""
    first = today - timedelta(days=DAYS - 1)
    return [
        ScoreBar(
            (day - first).days * CELL_PX,
            max(LEAST_PX, round(HEIGHT_PX * told["score"], 1)),
            "bad" if told["is_blocked"] else "attention" if told["score"] < 1 else "good",
            f"{day}: {told['score']:.2%}{', blocked' if told['is_blocked'] else ''}",
        )
        for day, told in sorted(history.items())
        if first <= day <= today
    ]
