"""The gateway as it is, with a no-op endpoint beside its own, for `benchmarks.ledger`.

Mode `committer` is the product. Mode `per-request` is the control: the same flush, statements and tables, but one
transaction per request on a pool of connections.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from payment_gateway.api.access import Merchant
from payment_gateway.api.schemas.ledger import TransferBody
from payment_gateway.app import create_gateway
from payment_gateway.operations.deps import Deps
from payment_gateway.settings import Settings
from payment_gateway.store.commit import Commit, Result, flush
from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.committer import Committer, TryFlushAgain
from platform_kit.idempotency import key_of
from platform_kit.serve import serve


class OneTransactionEach:
    """What the committer is compared with: every request commits by itself."""

    def __init__(self, deps: Deps) -> None:
        self._engine = deps.engine

    async def submit(self, commit: Commit) -> Result:
        while True:
            try:
                async with self._engine.begin() as connection:
                    return (await flush(connection, [commit]))[0]
            except TryFlushAgain:
                continue


router = APIRouter(prefix="/bench", route_class=StrictRoute)


@router.post("/noop", status_code=201)
async def noop() -> Response:
    """Nothing: what the same process answers at most."""
    return JsonResponse({"ok": True}, 201)


@router.post("/front-door", status_code=201)
async def front_door(body: TransferBody, request: Request, caller: Merchant) -> Response:
    """Authentication, strict parsing and validation of a transfer, and nothing else."""
    key_of(request.headers)
    return JsonResponse({"amount_minor": body.amount_minor, "merchant": caller.merchant_id}, 201)


def create(mode: str, settings: Settings) -> FastAPI:
    app = create_gateway(settings)
    app.include_router(router)
    if mode == "per-request":
        inner = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            async with inner(app):
                control = cast("Committer[Commit, Result]", OneTransactionEach(app.state.deps))
                app.state.deps = replace(app.state.deps, committer=control)
                yield

        app.router.lifespan_context = lifespan
    return app


if __name__ == "__main__":
    settings = Settings.load()
    serve(create(sys.argv[1], settings), settings)
