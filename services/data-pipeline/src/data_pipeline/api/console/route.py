"""The door of every page: who is not logged in is led to the log-in, a form must be of the session, and what fails is
told as a page: what happened, under which id, what to do."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.session import read_form, session_id_of
from data_pipeline.clients.service_api import ServiceAway, ServiceRefused
from data_pipeline.operations.enter_console import enter_console
from platform_kit.logging import get_logger
from platform_kit.problems import Problem

LOG_IN: Final = "/console/log-in"
REFRESHES: Final = "console-refresh"  # a header of our script: nobody is looking at it just now
MISTYPED: Final = "A part of it has the wrong form; a day is written like 2026-11-23."
NO_DATABASE: Final = (
    "Look at Postgres first: the gateway may use the same one. Figures come back by themselves when it answers; events "
    "that were missed meanwhile are fetched from where they are kept."
)
MAY_BE_DONE: Final = (
    "It may have been done all the same. Look before you try again; the same form sent again does it once."
)
NOT_DONE: Final = "Nothing was done. Try again when the service is back."

log = get_logger(__name__)


class OpenRoute(APIRoute):
    """A page for everybody: its expected failures are pages; anything else is a bug and goes on to the kit."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = self.guarded(super().get_route_handler())

        async def handle_or_explain(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError:
                return _explain(request, 422, "This address is not understood", MISTYPED)
            except Problem as problem:
                return _explain(request, problem.status, problem.title, str(problem.detail))
            except ServiceRefused as refused:
                return _explain(request, refused.status, refused.title, refused.detail)
            except ServiceAway as away:
                advice = MAY_BE_DONE if away.may_be_done else NOT_DONE
                return _explain(request, 502, f"The {away.service} does not answer", advice)
            except (SQLAlchemyError, OSError) as error:
                log.error("console has no database", error=repr(error))
                return _explain(request, 503, "The console cannot reach its database", NO_DATABASE)

        return handle_or_explain

    def guarded(
        self, handle: Callable[[Request], Coroutine[Any, Any, Response]]
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return handle


class ConsoleRoute(OpenRoute):
    """A page for operators. The door stands here and not in each route, so that no page can be without it."""

    def guarded(
        self, handle: Callable[[Request], Coroutine[Any, Any, Response]]
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handle_for_operator(request: Request) -> Response:
            session_id = session_id_of(request)
            is_active = REFRESHES not in request.headers
            visit = session_id and await enter_console(deps_of(request), session_id, is_active=is_active)
            if not visit:
                return _to_log_in(request)
            request.state.visit = visit
            if request.method not in ("GET", "HEAD"):
                request.state.form = await read_form(request, session_id)
            return await handle(request)

        return handle_for_operator


def _to_log_in(request: Request) -> Response:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    comes_back = "" if request.method != "GET" or wanted == "/console" else f"?to={quote(wanted, safe='')}"
    return RedirectResponse(LOG_IN + comes_back, 303, {"Cache-Control": "no-store"})


def _explain(request: Request, status: int, title: str, advice: str) -> Response:
    return page(
        request,
        "error.html",
        status=status,
        title=title,
        advice="" if advice == title else advice,
        retry=status == 503,
        request_id=request.scope.get("request_id"),
    )
