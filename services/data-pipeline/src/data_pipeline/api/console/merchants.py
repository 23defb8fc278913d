"""Merchants: who is it, under which terms, and since when?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.show_merchants import list_merchants, show_merchant
from platform_kit.money import format_minor
from platform_kit.problems import NotFound

MERCHANTS: Final = "/console/merchants"

router = APIRouter(prefix=MERCHANTS, include_in_schema=False, route_class=ConsoleRoute)
Word = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.get("")
async def show_merchants_page(
    request: Request, q: Word = "", after: Word = "", deps: Deps = Depends(deps_of)
) -> Response:
    """Which one? A part of its name is enough."""
    wanted = q.strip()
    merchant_id, _, name = after.partition("~")
    found = await list_merchants(deps, wanted, (name, merchant_id) if after else None)
    chosen = {"q": wanted} if wanted else {}
    rest = found.rest and urlencode(chosen | {"after": f"{found.rest[1]}~{found.rest[0]}"})
    return page(
        request,
        "merchants.html",
        merchants=found.merchants,
        wanted=wanted,
        first=f"{MERCHANTS}?{urlencode(chosen)}" if after else None,
        further=f"{MERCHANTS}?{rest}" if rest else None,
    )


@router.get("/{merchant_id}")
async def show_merchant_page(request: Request, merchant_id: str, deps: Deps = Depends(deps_of)) -> Response:
    """One merchant, now and before."""
    try:
        story = await show_merchant(deps, merchant_id)
    except NotFound:
        return page(request, "not_found.html", status=404, query=merchant_id)
    return page(
        request,
        "merchant.html",
        story=story,
        fees=[fees_in_words(version.told["fee_plan"]) for version in story.versions],
    )


def fees_in_words(plan: Mapping[str, Any] | None) -> Sequence[str]:
    """`card 1.40 % + 0.25 EUR`, a line for each rule of a plan; none without a plan."""
    if not plan:
        return []
    lines = [
        f"{rule.get('method') or 'any method'} {rule.get('basis_points', 0) / 100:.2f} %"
        + "".join(_fixed(rule.get("fixed_minor")))
        for rule in plan.get("rules", ())
    ]
    disputes = ", ".join(_amounts(plan.get("dispute_minor")))
    if disputes:
        back = ", back when won" if plan.get("dispute_returns_when_won") else ""
        lines.append(f"a dispute {disputes}{back}")
    if plan.get("returns_on_refund"):
        lines.append("a refund gives its fee back")
    return lines


def _fixed(amounts: Mapping[str, int] | None) -> Sequence[str]:
    return [f" + {' or '.join(_amounts(amounts))}"] if amounts else []


def _amounts(amounts: Mapping[str, int] | None) -> list[str]:
    return [f"{format_minor(minor, code)} {code}" for code, minor in sorted((amounts or {}).items())]
