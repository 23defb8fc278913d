"""Disputes at the simulated acquirer: a token that is disputed after its capture, an operator who opens and decides, a
bank that reads evidence.

Each step is an operation of the book under a key of its own (`dpt_….needs_response`), reported like any late result, so
a restart takes up what nobody has heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.clients.simulators.asking import operators_simulators_of, simulators_of
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.running import Simulator, Simulators
from platform_kit.app import JsonResponse
from platform_kit.body import loads_strict
from platform_kit.ids import new_id
from platform_kit.problems import InvalidRequest, NotFound

SCRIPTED: Final[Mapping[str, str]] = {
    "tok_dispute": "fraudulent",
    "tok_dispute_not_received": "product_not_received",
    "tok_dispute_inquiry": "inquiry",
}
"""Token -> why its charge is disputed shortly after it was captured; an inquiry is a warning, and moves no money."""

PLACES: Final = ("card", "card2")
"""Where payers' banks dispute charges."""
AFTER_S: Final = 0.2
WORDS: Final = {"winning_evidence": "won", "losing_evidence": "lost"}
"""Word in the evidence -> how the bank decides, as on well-known test platforms. Without one an operator decides."""
OUTCOMES: Final = frozenset({"warning", "needs_response", "closed", "won", "lost"})


def watch(simulator: Simulator, operation: Operation) -> None:
    """Dispute a charge of a scripted token after a while: called for every authorisation and capture."""
    original = simulator.book.authorisation(operation.key)
    if original is None or reason_of(original.token) is None or not original.captured_minor:
        return

    def dispute() -> None:
        if original.key not in simulator.book.disputed:
            open_dispute(simulator, original, str(reason_of(original.token)), None)

    asyncio.get_running_loop().call_later(AFTER_S, dispute)


def reason_of(token: str | None) -> str | None:
    """The longest scripted prefix that ends where the token ends or at an underscore."""
    stem = token or ""
    while stem:
        if stem in SCRIPTED:
            return SCRIPTED[stem]
        stem = stem.rpartition("_")[0]
    return None


def open_dispute(simulator: Simulator, original: Operation, reason: str, amount_minor: int | None) -> str:
    """The payer's bank wants (a part of) what is left of a charge back. Returns the dispute's name."""
    left = original.captured_minor - original.refunded_minor
    amount = left if amount_minor is None else amount_minor
    if not 0 < amount <= left:
        raise InvalidRequest("amount_minor must be within what was captured and not refunded.")
    name = new_id("dpt")
    _tell(simulator, original, name, "warning" if reason == "inquiry" else "needs_response", reason, amount)
    return name


def decide(simulator: Simulator, name: str, outcome: str) -> Operation:
    """Escalate, close, or decide. Lost: the channel takes the money back. Said twice, done once."""
    steps = _steps(simulator.book, name)
    if not steps:
        raise NotFound("No such dispute.")
    if ended := [step for step in steps if step.code in ("won", "lost", "closed")]:
        return ended[0]
    first = steps[0]
    original = simulator.book.get(str(first.original))
    assert original is not None
    return _tell(simulator, original, name, outcome, outcome, first.amount_minor)


async def answer(request: Request, place: str) -> Response:
    """POST /card/disputes/{name}/evidence or /accept {"evidence": {...}}: idempotent, for as long as it is asked."""
    simulator = simulators_of(request).at(place)
    name = request.path_params["name"]
    if not _steps(simulator.book, name):
        raise NotFound("No such dispute.")
    body = loads_strict(await request.body())
    evidence = body.get("evidence") if isinstance(body, dict) else None
    if request.url.path.endswith("/accept"):
        decide(simulator, name, "lost")
    else:
        words = " ".join(map(str, evidence.values())) if isinstance(evidence, dict) else ""
        for word, outcome in WORDS.items():
            if word in words:
                asyncio.get_running_loop().call_later(AFTER_S, decide, simulator, name, outcome)
                break
    return JsonResponse({"received": True})


async def operate(request: Request) -> Response:
    """POST /disputes {"channel_key", "amount_minor"?, "reason"?} opens one; {"dispute", "outcome"} decides one."""
    simulators = operators_simulators_of(request)
    body = loads_strict(await request.body())
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    if "dispute" in body:
        if body.get("outcome") not in OUTCOMES - {"warning"}:
            raise InvalidRequest("outcome must be needs_response, closed, won or lost.")
        name = str(body["dispute"])
        decide(_where(simulators, lambda book: bool(_steps(book, name))), name, str(body["outcome"]))
        return JsonResponse({"dispute": body["dispute"]})
    key = str(body.get("channel_key"))
    simulator = _where(simulators, lambda book: book.authorisation(key) is not None)
    original = simulator.book.authorisation(key)
    amount = body.get("amount_minor")
    if original is None or (amount is not None and type(amount) is not int):
        raise InvalidRequest("channel_key must name an authorisation, amount_minor be an integer.")
    return JsonResponse(
        {"dispute": open_dispute(simulator, original, str(body.get("reason", "general")), amount)}, 201
    )


def _tell(
    simulator: Simulator, original: Operation, name: str, outcome: str, code: str, amount_minor: int
) -> Operation:
    key = f"{name}.{outcome}"
    if found := simulator.book.get(key):
        return found
    taken = min(amount_minor, original.captured_minor - original.refunded_minor)
    line: dict[str, Any] = {
        "fingerprint": "", "outcome": outcome, "code": code, "channel_reference": f"{name}_{outcome}",
        "amount_minor": amount_minor, "currency": original.currency, "original": original.key,
        "callback_url": original.callback_url or simulator.callback_url,
    }  # fmt: skip
    if outcome == "lost" and taken:
        line["refunded_minor"] = taken
    simulator.book.append("dispute", key, **line)
    told = simulator.book.append("result", key, **line | {"refunded_minor": 0})
    simulator.reporter.report(told)
    return told


def _where(simulators: Simulators, knows: Callable[[Book], bool]) -> Simulator:
    """The card channel whose book knows it; the first where none does."""
    channels = [simulators.at(place) for place in PLACES]
    return next((channel for channel in channels if knows(channel.book)), channels[0])


def _steps(book: Book, name: str) -> list[Operation]:
    found = (
        book.get(f"{name}.{outcome}") for outcome in ("warning", "needs_response", "closed", "won", "lost")
    )
    return [operation for operation in found if operation is not None]
