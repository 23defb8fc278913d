"""The channel simulators as one HTTP process: /card, /card2, /wallet, /bank, and what an operator may read of them.

Plain Starlette routes on the kit's front door: an acquirer must not be what a load test measures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.clients.simulators import (
    bank,
    challenge_routes,
    disputes,
    operation_routes,
    operator_routes,
    payouts,
    rules,
    wallet,
)
from payment_gateway.clients.simulators.asking import not_processed
from payment_gateway.clients.simulators.faults import ConnectionAccess, Delays
from payment_gateway.clients.simulators.journal import JournalUnusable
from payment_gateway.clients.simulators.running import PLACES, open_simulators
from payment_gateway.settings import Settings
from platform_kit.app import create_app


def create_simulators(settings: Settings, delays: Delays | None = None) -> FastAPI:
    """The application of the `channels` process. One process per journal directory: a second one does not start."""
    app = create_app(
        settings,
        service="channels",
        routers=[_routes()],
        open_deps=partial(open_simulators, delays=delays or Delays()),
        checks=lambda _: {},
    )
    app.add_exception_handler(JournalUnusable, _on_journal_unusable)
    app.middleware_stack = ConnectionAccess(
        app.build_middleware_stack()
    )  # outermost, which add_middleware is not
    return app


def _routes() -> APIRouter:
    router = APIRouter()

    def add(method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        template = SimpleNamespace(path=path)  # what the canonical line and the metrics call this route

        async def named(request: Request) -> Response:
            request.scope["route"] = template
            return await endpoint(request)

        router.add_route(path, named, methods=[method], include_in_schema=False)

    for place in ("card", "card2"):
        add("POST", f"/{place}/authorisations", partial(operation_routes.authorise, place=place))
        add(
            "POST",
            f"/{place}/captures",
            partial(operation_routes.follow_up, place=place, decide=rules.capture),
        )
        show, decide = challenge_routes.show_challenge, challenge_routes.answer_challenge
        add("GET", f"/{place}/challenges/{{reference}}", partial(show, place=place))
        add("POST", f"/{place}/challenges/{{reference}}", partial(decide, place=place))
    add("POST", "/wallet/payments", partial(operation_routes.begin, place="wallet", start=wallet.pay))
    add("POST", "/bank/transfers", partial(operation_routes.begin, place="bank", start=bank.transfer))
    for place in PLACES:
        add("POST", f"/{place}/voids", partial(operation_routes.follow_up, place=place, decide=rules.void))
        add(
            "POST", f"/{place}/refunds", partial(operation_routes.follow_up, place=place, decide=rules.refund)
        )
        add("GET", f"/{place}/operations/{{key}}", partial(operation_routes.show, place=place))
        add("POST", f"/{place}/operations/{{key}}/close", partial(operation_routes.close, place=place))
    for place in disputes.PLACES:
        for act in ("evidence", "accept"):
            add("POST", f"/{place}/disputes/{{name}}/{act}", partial(disputes.answer, place=place))
    add("POST", "/disputes", disputes.operate)
    add("POST", "/payout-bank/payouts", payouts.pay_out)
    add("GET", "/journal", operator_routes.read_journal)
    add("GET", "/settlement", operator_routes.read_settlement)
    add("GET", "/bank-statement", operator_routes.read_bank_statement)
    return router


async def _on_journal_unusable(_: Request, __: Exception) -> Response:
    """What could not be written was not done."""
    return not_processed("journal_unusable")
