"""Routes that ask for money to move, and those that ask what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.clients.simulators import card, rules, wallet
from payment_gateway.clients.simulators.asking import (
    Question,
    answer,
    base_url,
    not_processed,
    question_of,
    simulators_of,
)
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.faults import hang, reset
from payment_gateway.clients.simulators.scripts import Fault, Script, later_script, script_of
from platform_kit.app import JsonResponse
from platform_kit.problems import NotFound

FollowUp = Callable[[Book, Question, Script], Operation]


async def authorise(request: Request) -> Response:
    """POST /card/authorisations."""
    simulator = simulators_of(request).card
    question = await question_of(request)

    def decide() -> Operation:
        return card.authorise(simulator.book, question, base_url(request), simulator.callback_url)

    return await _scripted(
        request, simulator.book, question, script_of(str(question.body.get("token"))), decide
    )


async def pay(request: Request) -> Response:
    """POST /wallet/payments."""
    simulators = simulators_of(request)
    simulator = simulators.wallet
    question = await question_of(request)
    if found := question.known(simulator.book):
        return answer(found)
    operation = wallet.pay(simulator.book, question, base_url(request), simulator.callback_url)
    if operation.outcome == "action_required":
        simulators.let_payer_decide(operation)
    return answer(operation)


async def follow_up(request: Request, place: str, decide: FollowUp) -> Response:
    """POST .../captures, voids, refunds: what is done to an authorisation goes wrong as its token says."""
    book = simulators_of(request).at(place).book
    question = await question_of(request)
    authorisation = book.authorisation(str(question.body.get("original")))
    script = later_script(authorisation.token if authorisation else None, request.url.path.rpartition("/")[2])
    return await _scripted(request, book, question, script, lambda: decide(book, question, script))


async def show(request: Request, place: str) -> Response:
    """GET .../operations/{key}: how it stands, or 404 for a key that never came."""
    operation = simulators_of(request).at(place).book.get(request.path_params["key"])
    if operation is None:
        raise NotFound()
    return JsonResponse(operation.answer())


async def close(request: Request, place: str) -> Response:
    """POST .../operations/{key}/close: how it stands; a key that never came is closed for good."""
    book = simulators_of(request).at(place).book
    return JsonResponse(rules.close(book, rules.checked_key(request.path_params["key"])).answer())


async def _scripted(
    request: Request, book: Book, question: Question, script: Script, decide: Callable[[], Operation]
) -> Response:
    """Do it and answer, each as the script wants it. A key that was done answers what became of it, and at once."""
    delays = simulators_of(request).delays
    if found := question.known(book):
        return answer(found)
    if script.fault is Fault.UNAVAILABLE:
        return not_processed("temporarily_unavailable")
    if script.fault is Fault.HANG_BEFORE:
        return await _never(request, delays.hang_s)
    operation = decide()
    if script.fault is Fault.HANG_AFTER:
        return await _never(request, delays.hang_s)
    if script.fault is Fault.RESET_AFTER:
        await reset(request)
    elif script.fault is Fault.SLOW:
        await asyncio.sleep(delays.slow_s)
    return answer(operation)


async def _never(request: Request, hang_s: float) -> Response:
    await hang(request, hang_s)
    await reset(request)
    return Response(status_code=504)  # nobody is there to get it
