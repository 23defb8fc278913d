"""Who may call: the platform's own services by the internal token, people by their own."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from platform_kit import canonical
from platform_kit.problems import Problem, Unauthenticated
from risk_engine.domain.staff import Actor, Role
from risk_engine.operations.manage_staff import find_staff


class NotPermitted(Problem):
    status, code, title = 403, "not-permitted", "Your role may not do that"


async def require_internal(request: Request) -> None:
    """Refuse a caller without `Authorization: Bearer <INTERNAL_TOKEN>`; without a token set, everybody."""
    if not _is_internal(request):
        raise Unauthenticated()


async def staff_of(request: Request) -> Actor:
    """The person whose token was sent. Raises Unauthenticated."""
    actor = await find_staff(request.app.state.deps, _bearer(request))
    if actor is None:
        raise Unauthenticated()
    canonical.add(actor=actor.name)
    return actor


def require_staff(*roles: Role) -> Callable[..., Awaitable[Actor]]:
    """A dependency that gives the person who asks, of one of `roles`. Raises Unauthenticated, NotPermitted."""

    async def permitted(actor: Annotated[Actor, Depends(staff_of)]) -> Actor:
        if actor.role not in roles:
            raise NotPermitted(f"It takes the role {' or '.join(roles)}; yours is {actor.role}.")
        return actor

    return permitted


async def require_reader(request: Request) -> None:
    """People of every role read, and so do the platform's own services. Raises Unauthenticated."""
    if not _is_internal(request):
        await staff_of(request)


def _is_internal(request: Request) -> bool:
    expected = request.app.state.deps.settings.internal_token.get_secret_value()
    return bool(expected) and hmac.compare_digest(_bearer(request).encode(), expected.encode())


def _bearer(request: Request) -> str:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given if scheme.lower() == "bearer" else ""


Analyst = Annotated[Actor, Depends(require_staff(Role.ANALYST, Role.LEAD))]
"""Who works cases and writes rule sets; a lead may do all that an analyst may."""
Lead = Annotated[Actor, Depends(require_staff(Role.LEAD))]
