"""Errors of the console, told as pages: what happened, under which id, what to do."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from platform_kit.logging import get_logger

MISTYPED: Final = "A part of it has the wrong form; a day is written like 2026-11-23."
NO_DATABASE: Final = (
    "Look at Postgres first: the gateway may use the same one. Figures come back by themselves when it answers; events "
    "that were missed meanwhile are fetched from where they are kept."
)

log = get_logger(__name__)


class ConsoleRoute(APIRoute):
    """A route whose expected failures are pages; anything else is a bug and goes on to the kit."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError:
                return _explain(request, 422, "This address is not understood", MISTYPED)
            except (SQLAlchemyError, OSError) as error:
                log.error("console has no database", error=repr(error))
                return _explain(request, 503, "The console cannot reach its database", NO_DATABASE)

        return handle_or_explain


def _explain(request: Request, status: int, title: str, advice: str) -> Response:
    return page(
        request,
        "error.html",
        now=deps_of(request).clock.now(),
        status=status,
        title=title,
        advice=advice,
        retry=status >= 500,
        request_id=request.scope.get("request_id"),
    )
