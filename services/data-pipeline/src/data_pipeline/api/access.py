"""Who may do what, and how answers are written."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any, Final

import orjson
from fastapi import Depends, Header, Request
from pydantic import StringConstraints

from data_pipeline.domain.operators import Operator, Permission
from data_pipeline.operations.admit_operator import admit_operator
from data_pipeline.operations.deps import Deps
from platform_kit.app import JsonResponse
from platform_kit.contract import problems
from platform_kit.problems import Unauthenticated


def deps_of(request: Request) -> Deps:
    """What `open_deps` yielded to this application."""
    deps: Deps = request.app.state.deps
    return deps


def require_internal(request: Request, authorization: str = Header(default="")) -> None:
    """Refuse whoever does not carry the service-to-service token. An empty token opens nothing."""
    token = deps_of(request).settings.internal_token.get_secret_value()
    scheme, _, given = authorization.partition(" ")
    known = bool(token) and scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())
    if not known:
        raise Unauthenticated("Send the internal token as `Authorization: Bearer <token>`.")


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$")]
ActingFor = Annotated[
    Name,
    Header(
        alias="Acting-For",
        description="the operator who acts; whoever has the token vouches for it",
        examples=["ada"],
    ),
]
MAY_NOT_ACT: Final = problems(
    {403: "`may-not-act`: no enabled operator has this name, or the role may not do this."}
)


def acting(permission: Permission | None) -> Callable[..., Awaitable[Operator]]:
    """A dependency of routes that act: who it is that the token vouches for. Raises MayNotAct."""

    async def admit(actor: ActingFor, deps: Annotated[Deps, Depends(deps_of)]) -> Operator:
        return await admit_operator(deps, actor, permission)

    return admit


ByReplayer = Annotated[Operator, Depends(acting(Permission.REPLAY))]
ByAnyOperator = Annotated[Operator, Depends(acting(None))]


def answer(content: Any, status: int = 200) -> JsonResponse:
    """JSON with times as ISO 8601 in UTC with `Z`."""
    value = asdict(content) if is_dataclass(content) and not isinstance(content, type) else content
    return JsonResponse(orjson.dumps(value, option=orjson.OPT_UTC_Z), status)
