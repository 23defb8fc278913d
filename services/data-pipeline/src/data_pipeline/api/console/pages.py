"""The pages. Each is one operation and one template."""

from __future__ import annotations

import asyncio
import re
from typing import Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.chart import minute_chart
from data_pipeline.api.console.ledger import LEDGER
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.operations.compare_hours import compare_hours
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.find_in_ledger import InLedger, find_in_ledger
from data_pipeline.operations.find_payment import find_payment
from data_pipeline.operations.report_overview import report_overview

QUERY_MAX: Final = 200
AMOUNT: Final = re.compile(r"([0-9][0-9,]{0,14}(?:\.[0-9]{1,4})?) ?([A-Za-z]{3})?", re.ASCII)

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
        chart=minute_chart(overview.minutes),
    )


@router.get("/console/search")
async def search_page(request: Request, q: str = "", deps: Deps = Depends(deps_of)) -> Response:
    """Straight to the payment, transfer or account of this name; an amount leads to the payments of this amount."""
    query = q.strip()[:QUERY_MAX]
    found = await find_payment(deps, query) if query else None
    if found is not None:
        return RedirectResponse(f"/console/payments/{found}", 303)
    if amount := AMOUNT.fullmatch(query):
        typed = {"min": amount[1], "max": amount[1], "currency": (amount[2] or "").upper()}
        return RedirectResponse(f"/console/payments?{urlencode(typed)}", 303)
    if query and (place := await find_in_ledger(deps, query)):
        return RedirectResponse(_in_ledger(place), 303)
    return page(request, "not_found.html", status=404, query=query)


def _in_ledger(place: InLedger) -> str:
    if place.journal:
        return f"{LEDGER}/transfers/{quote(place.journal)}"
    if place.account:
        return f"{LEDGER}/accounts/{quote(':'.join(place.account), safe=':')}"
    return f"{LEDGER}/accounts?{urlencode({'q': place.part})}"
