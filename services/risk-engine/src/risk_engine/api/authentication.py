"""Who may call: the platform's own services by the internal token, people by their own."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Depends, Request

from platform_kit import canonical
from platform_kit.problems import Problem, Unauthenticated
from risk_engine.domain.staff import Actor, Role
from risk_engine.operations.manage_staff import find_staff, staff_named

ACTING_FOR: Final = "acting-for"
"""Names the person for whom a service of the platform asks: it vouches for who they are, we say what they may."""


PLATFORM: Final = "system:platform"
"""Who passes on what a merchant asks: one of the platform's services."""


class NotPermitted(Problem):
    status, code, title = 403, "not-permitted", "Your role may not do that"


class NotStaff(Problem):
    status, code, title = 403, "not-staff", "This person is not admitted to risk control"


async def require_internal(request: Request) -> None:
    """Refuse a caller without `Authorization: Bearer <INTERNAL_TOKEN>`; without a token set, everybody."""
    if not _is_internal(request):
        raise Unauthenticated()


async def staff_of(request: Request) -> Actor:
    """The person whose token was sent, or for whom the console asks: internal token and `Acting-For: <name>`. Name and
    role are the engine's own in both cases. Raises Unauthenticated, NotStaff."""
    deps, name = request.app.state.deps, request.headers.get(ACTING_FOR)
    if name is None:
        actor = await find_staff(deps, _bearer(request))
    elif _is_internal(request):
        actor = await staff_named(deps, name)
        if actor is None:
            raise NotStaff("An administrator admits them: `platform risk staff admit <name> --role <role>`.")
        canonical.add(vouched_by="internal")
    else:  # a person's token speaks for that person alone
        actor = None
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


async def who_records(request: Request) -> str:
    """Who writes down what somebody else asks: a service of the platform, or a person who works cases. Raises
    Unauthenticated, NotStaff, NotPermitted."""
    if _is_internal(request) and ACTING_FOR not in request.headers:
        return PLATFORM
    actor = await staff_of(request)
    if actor.role is Role.AUDITOR:
        raise NotPermitted(f"It takes the role {Role.ANALYST} or {Role.LEAD}; yours is {actor.role}.")
    return actor.name


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
