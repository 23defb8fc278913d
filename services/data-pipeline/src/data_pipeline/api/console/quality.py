"""Can the figures be trusted? Scores of the facts over time, rules that are broken now, days that wait for mending."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.domain.quality import RULES
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_quality import DAYS, report_quality

CELL_PX: Final = 10
HEIGHT_PX: Final = 24
LEAST_PX: Final = 3.0  # so that a day without any good row still is a bar

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


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
    return page(
        request,
        "quality.html",
        quality=found,
        bars={one.name: score_bars(one.history, today) for one in found.tables},
        width=DAYS * CELL_PX,
        height=HEIGHT_PX,
        days=DAYS,
        rules=RULES,
    )


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
