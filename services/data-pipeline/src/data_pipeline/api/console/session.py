"""The cookie of a session, who it belongs to, and the form that it sent."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from starlette.responses import Response

from data_pipeline.api.access import deps_of
from data_pipeline.domain.operators import SESSION_MAX, Operator, Permission, form_token
from data_pipeline.operations.enter_console import Visit
from platform_kit.problems import InvalidRequest, Problem, UnsupportedMediaType

FORM_FIELDS_MAX: Final = 100
PASSWORD: Final = "password"  # noqa: S105 - the name of a field
FORM_TOKEN: Final = "form_token"  # noqa: S105 - the name of a field


class FormExpired(Problem):
    status, code, title = 403, "form-expired", "This form is not of your session: open the page again"


class RoleMissing(Problem):
    status, code, title = 403, "role-missing", "Your role may not do this"


def cookie_name(request: Request, name: str = "console") -> str:
    """`__Host-` binds the cookie to this host and to TLS; browsers refuse the prefix without TLS."""
    return f"__Host-{name}" if deps_of(request).settings.console_cookies_secure else name


def session_id_of(request: Request) -> str:
    """What the browser sent; empty for nobody."""
    return request.cookies.get(cookie_name(request), "")


def set_cookie(request: Request, response: Response, name: str, value: str, max_age_s: int) -> None:
    """HttpOnly: no script reads it. Lax: a link in a chat opens the page, a form elsewhere does not act here."""
    is_secure = deps_of(request).settings.console_cookies_secure
    response.set_cookie(name, value, max_age_s, path="/", secure=is_secure, httponly=True, samesite="lax")


def start_session(request: Request, response: Response, session_id: str) -> None:
    set_cookie(request, response, cookie_name(request), session_id, int(SESSION_MAX.total_seconds()))


def end_session(request: Request, response: Response) -> None:
    set_cookie(request, response, cookie_name(request), "", 0)


async def read_form(request: Request, secret: str) -> Mapping[str, str]:
    """The fields of a posted form, stripped but for a password; the last of a name wins. Raises FormExpired unless it
    carries the token that belongs to `secret`."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise UnsupportedMediaType("Send a form.")
    try:
        pairs = parse_qsl((await request.body()).decode(), True, True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        raise InvalidRequest("This is not a form of the console.") from None
    fields = {name: value if name == PASSWORD else value.strip() for name, value in pairs}
    given = fields.pop(FORM_TOKEN, "")
    # Without a secret the token would be one that anybody can compute.
    if not secret or not hmac.compare_digest(given.encode(), form_token(secret).encode()):
        raise FormExpired()
    if any("\x00" in value for value in fields.values()):
        raise InvalidRequest("A text holds U+0000.")
    return fields


def visit_of(request: Request) -> Visit:
    """Set by `ConsoleRoute`, which lets nobody else in."""
    visit: Visit = request.state.visit
    return visit


def operator_of(request: Request) -> Operator:
    return visit_of(request).operator


def form_of(request: Request) -> Mapping[str, str]:
    """The posted fields; `ConsoleRoute` has checked their token."""
    fields: Mapping[str, str] = request.state.form
    return fields


def may(permission: Permission) -> Callable[[Request], None]:
    """A dependency of routes that act. Raises RoleMissing."""

    def check(request: Request) -> None:
        operator = operator_of(request)
        if not operator.may(permission):
            raise RoleMissing(f"To {permission} needs another role than {operator.role}.")

    return check


ByOperator = Annotated[Operator, Depends(operator_of)]
PostedForm = Annotated[Mapping[str, str], Depends(form_of)]
