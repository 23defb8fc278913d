"""The channel simulators as one HTTP process: /card, /wallet, and what an operator may read of both.

Plain Starlette routes on the kit's front door: an acquirer must not be what a load test measures.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import orjson
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from payment_gateway.clients.simulators import card, rules, wallet
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.faults import ConnectionAccess, Delays, hang, reset
from payment_gateway.clients.simulators.journal import Journal, JournalUnusable
from payment_gateway.clients.simulators.reports import Reporter
from payment_gateway.clients.simulators.scripts import Fault, Script, script_of
from payment_gateway.clients.simulators.settlement import settlement_file
from payment_gateway.settings import Settings
from platform_kit.app import JsonResponse, create_app
from platform_kit.problems import InvalidRequest, MalformedJson, NotFound, Unauthenticated

JOURNAL_PAGE_MAX = 1000
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
PLAIN = Script()

Decide = Callable[[Book, str, Mapping[str, Any], str], Operation]


@dataclass(frozen=True)
class Simulator:
    """One channel: what it knows, and how it reports."""

    book: Book
    reporter: Reporter


@dataclass(frozen=True)
class Simulators:
    """Both channels of the process."""

    card: Simulator
    wallet: Simulator
    delays: Delays
    internal_token: str

    def named(self, channel: str) -> Simulator:
        for simulator in (self.card, self.wallet):
            if simulator.book.channel == channel:
                return simulator
        raise InvalidRequest("channel must be card_sim or wallet_sim.")


def create_simulators(settings: Settings, delays: Delays | None = None) -> FastAPI:
    """The application of the `channels` process. One process per journal directory: a second one does not start."""
    app = create_app(
        settings,
        service="channels",
        routers=[_routes()],
        open_deps=partial(_open_simulators, delays=delays or Delays()),
        checks=lambda _: {},
    )
    app.middleware_stack = ConnectionAccess(
        app.build_middleware_stack()
    )  # outermost, which add_middleware is not
    return app


@asynccontextmanager
async def _open_simulators(settings: Settings, delays: Delays) -> AsyncIterator[Simulators]:
    opened = (_open(settings, "card_sim"), _open(settings, "wallet_sim"))
    simulators = Simulators(*opened, delays, settings.internal_token.get_secret_value())
    for simulator in opened:
        simulator.reporter.start()
    for operation in simulators.wallet.book.waiting():
        _let_payer_decide(simulators, operation)
    try:
        yield simulators
    finally:
        for simulator in opened:
            await simulator.reporter.close()
            simulator.book.journal.close()


def _open(settings: Settings, channel: str) -> Simulator:
    book = Book(channel, Journal(Path(settings.channel_journal_dir) / f"{channel}.jsonl"))
    default_url = f"{settings.gateway_url}/internal/channel-events/{channel}"
    return Simulator(book, Reporter(book, settings.channel_secret.get_secret_value(), default_url))


def _routes() -> APIRouter:
    router = APIRouter()

    def add(method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        template = SimpleNamespace(path=path)  # what the canonical line and the metrics call this route

        async def named(request: Request) -> Response:
            request.scope["route"] = template
            return await endpoint(request)

        router.add_route(path, named, methods=[method], include_in_schema=False)

    add("POST", "/card/authorisations", _authorise)
    add("POST", "/wallet/payments", _pay)
    for name in ("card", "wallet"):
        if name == "card":
            add("POST", "/card/captures", partial(_follow_up, name=name, decide=rules.capture))
        add("POST", f"/{name}/voids", partial(_follow_up, name=name, decide=rules.void))
        add("POST", f"/{name}/refunds", partial(_follow_up, name=name, decide=rules.refund))
        add("GET", f"/{name}/operations/{{key}}", partial(_show, name=name))
        add("POST", f"/{name}/operations/{{key}}/close", partial(_close, name=name))
    add("GET", "/card/challenges/{reference}", _show_challenge)
    add("POST", "/card/challenges/{reference}", _answer_challenge)
    add("GET", "/journal", _read_journal)
    add("GET", "/settlement", _settlement)
    return router


async def _authorise(request: Request) -> Response:
    simulators = _simulators(request)
    body, key, fingerprint = await _question(request)
    book = simulators.card.book
    if found := rules.known(book, key, fingerprint):
        return _answer(found)
    script = script_of(str(body.get("token")))
    if script.fault is Fault.UNAVAILABLE:
        return _not_processed("temporarily_unavailable")
    if script.fault is Fault.HANG_BEFORE:
        return await _hang(request, simulators.delays)
    try:
        operation = card.authorise(book, key, body, fingerprint, _base_url(request))
    except JournalUnusable:
        return _not_processed("journal_unusable")
    return await _after(request, simulators.delays, script, operation)


async def _after(request: Request, delays: Delays, script: Script, operation: Operation) -> Response:
    """Answer what was done the way that the script wants it answered."""
    if script.fault is Fault.HANG_AFTER:
        return await _hang(request, delays)
    if script.fault is Fault.RESET_AFTER:
        await reset(request)
    elif script.fault is Fault.SLOW:
        await asyncio.sleep(delays.slow_s)
    return _answer(operation)


async def _hang(request: Request, delays: Delays) -> Response:
    await hang(request, delays.hang_s)
    await reset(request)
    return Response(status_code=504)  # nobody is there to get it


async def _pay(request: Request) -> Response:
    simulators = _simulators(request)
    body, key, fingerprint = await _question(request)
    if found := rules.known(simulators.wallet.book, key, fingerprint):
        return _answer(found)
    try:
        operation = wallet.pay(simulators.wallet.book, key, body, fingerprint, _base_url(request))
    except JournalUnusable:
        return _not_processed("journal_unusable")
    if operation.outcome == "action_required":
        _let_payer_decide(simulators, operation)
    return _answer(operation)


def _let_payer_decide(simulators: Simulators, operation: Operation) -> None:
    """Have the wallet's payer act after a while, unless a void came first."""
    delays, wallet_sim = simulators.delays, simulators.wallet

    def decide() -> None:
        if operation.outcome == "action_required":
            wallet_sim.reporter.report(card.settle(wallet_sim.book, operation, wallet.code_of(operation)))

    after_s = wallet.decided_after_s(operation, delays.decide_least_s, delays.decide_most_s)
    asyncio.get_running_loop().call_later(after_s, decide)


async def _follow_up(request: Request, name: str, decide: Decide) -> Response:
    book = _book(request, name)
    body, key, fingerprint = await _question(request)
    if found := rules.known(book, key, fingerprint):
        return _answer(found)
    try:
        return _answer(decide(book, key, body, fingerprint))
    except JournalUnusable:
        return _not_processed("journal_unusable")


async def _show(request: Request, name: str) -> Response:
    operation = _book(request, name).get(request.path_params["key"])
    if operation is None:
        raise NotFound()
    return JsonResponse(operation.answer())


async def _close(request: Request, name: str) -> Response:
    return JsonResponse(
        rules.close(_book(request, name), rules.checked_key(request.path_params["key"])).answer()
    )


async def _show_challenge(request: Request) -> Response:
    """The issuer's page, as small as it can be."""
    operation = _simulators(request).card.book.by_reference(request.path_params["reference"])
    if operation is None or operation.next_action is None:
        raise NotFound()
    buttons = "".join(
        f'<button name="outcome" value="{o}">{o}</button> ' for o in ("passed", "failed", "abandoned")
    )
    page = (
        f'<form method="post"><p>Pay {operation.amount_minor} {operation.currency}?</p>{buttons}</form>'
        if operation.outcome == "action_required"
        else "<p>This challenge is decided.</p>"
    )
    return HTMLResponse(
        f'<!doctype html><html lang="en"><title>Your bank (simulated)</title>{page}</html>',
        headers={"Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'"},
    )


async def _answer_challenge(request: Request) -> Response:
    simulator = _simulators(request).card
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        outcome: object = parse_qs((await request.body()).decode("ascii", "replace")).get("outcome", [""])[0]
    else:
        outcome = (await _json(request)).get("outcome")
    before = simulator.book.by_reference(request.path_params["reference"])
    was_waiting = before is not None and before.outcome == "action_required"
    operation = card.answer_challenge(simulator.book, request.path_params["reference"], outcome)
    if operation is None:
        raise NotFound()
    if was_waiting and operation.callback_url:
        simulator.reporter.report(operation)
    return JsonResponse(operation.answer())


async def _read_journal(request: Request) -> Response:
    """GET /journal?channel=card_sim&after=0&limit=1000 -> {"data": [lines], "head": n}."""
    simulators = _operator(request)
    query = request.query_params
    journal = simulators.named(query.get("channel", "card_sim")).book.journal
    after, limit = _number(query.get("after", "0")), _number(query.get("limit", "1000"))
    lines = await asyncio.to_thread(journal.read, after, min(limit, JOURNAL_PAGE_MAX))
    return JsonResponse(b'{"data":[%b],"head":%d}' % (b",".join(lines), journal.head))


async def _settlement(request: Request) -> Response:
    """GET /settlement?channel=card_sim&date=2026-11-23 -> the file of that UTC day."""
    simulators = _operator(request)
    book = simulators.named(request.query_params.get("channel", "")).book
    day = request.query_params.get("date", "")
    if not DAY.fullmatch(day):
        raise InvalidRequest("date must be YYYY-MM-DD.")
    content = await asyncio.to_thread(settlement_file, book, day)
    return Response(content, media_type="text/csv")


def _simulators(request: Request) -> Simulators:
    simulators: Simulators = request.app.state.deps
    return simulators


def _operator(request: Request) -> Simulators:
    """Only the platform may read what the channels did. Raises Unauthenticated."""
    simulators = _simulators(request)
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    wanted = simulators.internal_token
    if not wanted or not hmac.compare_digest(given.encode(), wanted.encode()):
        raise Unauthenticated()
    return simulators


def _book(request: Request, name: str) -> Book:
    simulators = _simulators(request)
    return (simulators.card if name == "card" else simulators.wallet).book


async def _question(request: Request) -> tuple[Mapping[str, Any], str, str]:
    """Body, key and fingerprint of a request that may move money."""
    body = await _json(request)
    key = rules.checked_key(request.headers.get("idempotency-key"))
    return body, key, rules.fingerprint_of(request.url.path, body)


async def _json(request: Request) -> Mapping[str, Any]:
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise MalformedJson() from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return body


def _number(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 12):
        raise InvalidRequest("after and limit must be whole numbers.")
    return int(value)


def _answer(operation: Operation) -> Response:
    """200 for what was done or waits, 402 for what was refused."""
    return JsonResponse(operation.answer(), 402 if operation.outcome == "declined" else 200)


def _not_processed(code: str) -> Response:
    """The one 503 that this channel documents: nothing was done, the same key may try again."""
    return JsonResponse({"outcome": "not_processed", "code": code}, 503, {"Retry-After": "1"})


def _base_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"
