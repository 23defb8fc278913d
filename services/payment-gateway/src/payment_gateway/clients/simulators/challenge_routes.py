"""The issuer's page, where the payer of a challenged card payment passes, fails or leaves."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from payment_gateway.clients.simulators import card
from payment_gateway.clients.simulators.asking import json_of, simulators_of
from platform_kit.app import JsonResponse
from platform_kit.money import Money
from platform_kit.problems import NotFound

POLICY = "default-src 'none'; form-action 'self'; frame-ancestors 'none'"
BUTTONS = "".join(
    f'<button name="outcome" value="{o}">{o}</button> ' for o in ("passed", "failed", "abandoned")
)


async def show_challenge(request: Request, place: str) -> Response:
    """GET /card/challenges/{reference}, as small as it can be."""
    operation = simulators_of(request).at(place).book.challenged(request.path_params["reference"])
    if operation is None:
        raise NotFound()
    page = (
        f'<form method="post"><p>Pay {Money(operation.amount_minor, operation.currency)}?</p>{BUTTONS}</form>'
        if operation.outcome == "action_required"
        else "<p>This challenge is decided.</p>"
    )
    document = f'<!doctype html><html lang="en"><title>Your bank (simulated)</title>{page}</html>'
    return HTMLResponse(document, headers={"Content-Security-Policy": POLICY})


async def answer_challenge(request: Request, place: str) -> Response:
    """POST /card/challenges/{reference} {"outcome": "passed|failed|abandoned"}, as JSON or from the form."""
    simulator = simulators_of(request).at(place)
    outcome = await _outcome_of(request)
    operation = simulator.book.challenged(request.path_params["reference"])
    if operation is None:
        raise NotFound()
    if card.answer_challenge(simulator.book, operation, outcome):
        simulator.told(operation)
    return JsonResponse(operation.answer())


async def _outcome_of(request: Request) -> object:
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return parse_qs((await request.body()).decode("ascii", "replace")).get("outcome", [""])[0]
    return (await json_of(request)).get("outcome")
