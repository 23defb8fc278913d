"""Log in, log out."""

from __future__ import annotations

import re
import secrets
from typing import Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import LOG_IN, ConsoleRoute, OpenRoute
from data_pipeline.api.console.session import (
    PASSWORD,
    cookie_name,
    end_session,
    read_form,
    session_id_of,
    set_cookie,
    start_session,
)
from data_pipeline.domain.operators import form_token
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.log_in import LoginRefused, TooManyLogins, log_in, log_out

BEFORE: Final = "console_login"  # the cookie that the log-in form's token belongs to: there is no session yet
BEFORE_MAX_AGE_S: Final = 3600
_OURS: Final = re.compile(r"/console(?:[/?][\x21-\x5b\x5d-\x7e]*)?")

opening = APIRouter(include_in_schema=False, route_class=OpenRoute)
closing = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@opening.get(LOG_IN)
async def show_log_in(request: Request, to: str = "") -> Response:
    """Name and password; `to` is the page to go on to."""
    return _form(request, to)


@opening.post(LOG_IN)
async def send_log_in(request: Request, to: str = "", deps: Deps = Depends(deps_of)) -> Response:
    """Start a session. A wrong name and a wrong password get the same answer in the same time."""
    form = await read_form(request, request.cookies.get(cookie_name(request, BEFORE), ""))
    name, address = form.get("name", ""), request.client.host if request.client else ""
    try:
        session_id = await log_in(deps, name, form.get(PASSWORD, ""), address)
    except (LoginRefused, TooManyLogins) as refused:
        return _form(request, to, name=name, refusal=refused)
    response = RedirectResponse(to if _OURS.fullmatch(to) else "/console", 303)
    start_session(request, response, session_id)
    return response


@closing.post("/console/log-out")
async def send_log_out(request: Request, deps: Deps = Depends(deps_of)) -> Response:
    """End the session here and in the database."""
    await log_out(deps, session_id_of(request))
    response = RedirectResponse(LOG_IN, 303)
    end_session(request, response)
    return response


def _form(
    request: Request, to: str, *, name: str = "", refusal: LoginRefused | TooManyLogins | None = None
) -> Response:
    secret = request.cookies.get(cookie_name(request, BEFORE)) or secrets.token_urlsafe(32)
    response = page(
        request,
        "log_in.html",
        status=refusal.status if refusal else 200,
        token=form_token(secret),
        to=to if _OURS.fullmatch(to) else "",
        name=name,
        refusal=refusal.title if refusal else None,
    )
    set_cookie(request, response, cookie_name(request, BEFORE), secret, BEFORE_MAX_AGE_S)
    return response


router = APIRouter()
router.include_router(opening)
router.include_router(closing)
