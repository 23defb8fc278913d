"""The pages. Each is one operation and one template."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.chart import minute_chart
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.operations.compare_hours import compare_hours
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_overview import report_overview

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get("/")
async def go_to_console() -> Response:
    return RedirectResponse("/console", 307)


@router.get("/console")
async def show_overview_page(request: Request, deps: Deps = Depends(deps_of)) -> Response:
    """Is money moving normally now?"""
    overview, hours = await asyncio.gather(report_overview(deps), compare_hours(deps))
    return page(
        request,
        "overview.html",
        overview=overview,
        hours=hours,
        chart=minute_chart(overview.minutes, hours.deploys),
    )
