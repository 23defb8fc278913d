"""Decisions of the risk engine: a list with its filters in the address, and one decision taken apart."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import ByOperator
from data_pipeline.api.console.velocity import other_facts, velocities_of
from data_pipeline.clients.service_api import ServiceAway, ServiceRefused
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.name_merchants import name_merchants
from data_pipeline.operations.show_decisions import list_decisions, show_decision

DECISIONS: Final = "/console/risk/decisions"
FILTERS: Final = ("decision", "merchant", "rule", "score_from", "score_to", "made_from", "made_before")
OUTCOMES: Final = ("allow", "challenge", "review", "block")

router = APIRouter(prefix=DECISIONS, include_in_schema=False, route_class=ConsoleRoute)


@router.get("")
async def show_decisions_page(request: Request, by: ByOperator, deps: Deps = Depends(deps_of)) -> Response:
    """What did the engine decide, and about what?"""
    asked = request.query_params
    chosen = {name: value for name in FILTERS if (value := asked.get(name, "").strip()[:64])}
    cursor = {"cursor": asked["cursor"]} if asked.get("cursor") else {}
    found: dict[str, Any] = {"data": [], "next_cursor": None, "searched_to": None}
    is_away, refused = False, None
    try:
        found = await list_decisions(deps, by, _as_asked(chosen) | cursor)
    except ServiceAway:
        is_away = True
    except ServiceRefused as error:
        refused = error
    older = f"?{urlencode({**chosen, 'cursor': found['next_cursor']})}" if found["next_cursor"] else None
    return page(
        request,
        "risk_decisions.html",
        status=refused.status if refused else 200,
        is_away=is_away,
        refused=refused,
        chosen=chosen,
        outcomes=OUTCOMES,
        decisions=found["data"],
        names=await name_merchants(deps, (one["merchant_id"] for one in found["data"])),
        searched_to=found["searched_to"],
        older=older and DECISIONS + older,
        first=f"{DECISIONS}?{urlencode(chosen)}" if cursor else None,
    )


@router.get("/{assessment_id}")
async def show_decision_page(
    request: Request,
    assessment_id: Annotated[str, Path(pattern=r"^asm_[0-9a-hjkmnp-tv-z]{26}$")],
    by: ByOperator,
    deps: Deps = Depends(deps_of),
) -> Response:
    """Why was it decided so?"""
    decision = await show_decision(deps, by, assessment_id)
    facts = decision.assessment["facts"]
    return page(
        request,
        "risk_decision.html",
        decision=decision,
        names=await name_merchants(deps, [decision.assessment["merchant_id"]]),
        made=decision.assessment,
        velocities=velocities_of(facts),
        facts=other_facts(facts),
    )


def _as_asked(chosen: dict[str, str]) -> dict[str, str]:
    """Times of a form's `datetime-local` have no zone: they are UTC, as all that the console shows."""
    return {
        name: f"{value}Z" if name.startswith("made_") and "T" in value and not value.endswith("Z") else value
        for name, value in chosen.items()
    }
