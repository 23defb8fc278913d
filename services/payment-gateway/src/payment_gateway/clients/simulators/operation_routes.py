"""Routes that ask for money to move, and those that ask what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.clients.simulators import card, disputes, rules
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
from payment_gateway.clients.simulators.running import Simulator
from payment_gateway.clients.simulators.scripts import Fault, Script, fault_by_amount, fault_of, later_script
from platform_kit.app import JsonResponse
from platform_kit.problems import NotFound

Start = Callable[[Book, Question, str, str], Operation]
FollowUp = Callable[[Book, Question, Script], Operation]


async def authorise(request: Request, place: str) -> Response:
    """POST /card/authorisations, /card2/authorisations."""
    simulator = simulators_of(request).at(place)
    question = await question_of(request)
    script = card.script_for(question)

    def decide() -> Operation:
        done = card.authorise(simulator.book, question, script, base_url(request), simulator.callback_url)
        disputes.watch(simulator, done)
        return done

    return await _scripted(request, simulator, question, script, decide)


async def begin(request: Request, place: str, start: Start) -> Response:
    """POST /wallet/payments, /bank/transfers: the payer acts later."""
    simulator = simulators_of(request).at(place)
    question = await question_of(request)
    question = replace(question, fault=question.fault or fault_by_amount(question.body.get("amount_minor")))
    script = Script(fault=fault_of(question.fault, None))

    def decide() -> Operation:
        return start(simulator.book, question, base_url(request), simulator.callback_url)

    return await _scripted(request, simulator, question, script, decide)


async def follow_up(request: Request, place: str, decide: FollowUp) -> Response:
    """POST .../captures, voids, refunds: what is done to an authorisation goes wrong as its token says."""
    simulator = simulators_of(request).at(place)
    book = simulator.book
    question = await question_of(request)
    authorisation = book.authorisation(str(question.body.get("original")))
    token, fault = (authorisation.token, authorisation.fault) if authorisation else (None, None)
    script = later_script(token, request.url.path.rpartition("/")[2], fault)

    def act() -> Operation:
        done = decide(book, question, script)
        disputes.watch(simulator, done)
        return done

    return await _scripted(request, simulator, question, script, act)


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
    request: Request,
    simulator: Simulator,
    question: Question,
    script: Script,
    decide: Callable[[], Operation],
) -> Response:
    """Do it and answer, each as the script wants it. A key that was done answers what became of it, and at once."""
    delays = simulator.delays
    if found := question.known(simulator.book):
        return answer(found)
    match script.fault:
        case Fault.UNAVAILABLE:
            return not_processed("temporarily_unavailable")
        case Fault.ERROR:
            return Response(status_code=500)
        case Fault.HANG_BEFORE:
            return await _never(request, delays.hang_s)
        case Fault.RESET_BEFORE:
            await reset(request)
            return Response(status_code=504)
    operation = decide()
    if operation.outcome == "action_required":
        simulator.let_payer_decide(operation)
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
