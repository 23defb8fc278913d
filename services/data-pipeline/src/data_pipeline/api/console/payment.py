"""One payment: what happened, step by step, and what an operator may do about it."""

from __future__ import annotations

import asyncio
import secrets
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import ByOperator, PostedForm, may
from data_pipeline.api.console.story import steps_of
from data_pipeline.domain.operators import Permission
from data_pipeline.domain.payment_act import PaymentAct, movement_of, remaining_minor
from data_pipeline.operations.act_on_payment import act_on_payment, ask_gateway
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.find_related import find_related
from data_pipeline.operations.show_payment import show_payment
from platform_kit.money import CURRENCIES, format_minor, plain_minor
from platform_kit.problems import InvalidRequest, NotFound

PATH: Final = "/console/payments/{payment_id}"
REASON_MIN, REASON_MAX = 3, 500
KEY_MAX: Final = 64
TOLD: Final = {
    "capture": "Captured. The timeline shows it within seconds.",
    "void": "The hold is given up. The timeline shows it within seconds.",
    "refund": "Refunded. The timeline shows it within seconds.",
    "pending": "Asked for, and the channel has not answered yet: the outcome follows by itself.",
}

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)
MAY_MOVE: Final = Depends(may(Permission.MOVE_MONEY))


@router.get(PATH)
async def show_payment_page(
    request: Request, payment_id: str, by: ByOperator, told: str = "", deps: Deps = Depends(deps_of)
) -> Response:
    """What happened, step by step?"""
    try:
        story = await show_payment(deps, payment_id)
    except NotFound:
        return page(request, "not_found.html", status=404, query=payment_id)
    history, related = await asyncio.gather(
        ask_gateway(deps, by, payment_id), find_related(deps, by, story.payment["assessment_id"])
    )
    acts = [act for act in PaymentAct if remaining_minor(story.payment, act) > 0]
    return page(
        request,
        "payment.html",
        story=story,
        steps=steps_of(story, history),
        related=related,
        live=history["payment"] if history else None,
        acts=acts if by.may(Permission.MOVE_MONEY) else [],
        told=TOLD.get(told),
    )


@router.get(PATH + "/{act}", dependencies=[MAY_MOVE])
async def ask_for_act(
    request: Request, payment_id: str, act: PaymentAct, deps: Deps = Depends(deps_of)
) -> Response:
    """How much, and why."""
    payment = (await show_payment(deps, payment_id)).payment
    return _form(request, payment, act, typed={})


@router.post(PATH + "/{act}/confirm", dependencies=[MAY_MOVE])
async def confirm_act(
    request: Request, payment_id: str, act: PaymentAct, form: PostedForm, deps: Deps = Depends(deps_of)
) -> Response:
    """The exact movement, before it is made. The key is made here: what is sent twice is done once."""
    payment = (await show_payment(deps, payment_id)).payment
    try:
        amount_minor, reason = _read(payment, act, form)
    except InvalidRequest as refused:
        return _form(request, payment, act, typed=dict(form), refusal=str(refused.detail))
    return page(
        request,
        "payment_confirm.html",
        p=payment,
        act=act,
        amount_minor=amount_minor,
        typed=dict(form) | {"reason": reason},
        movement=movement_of(payment, act, amount_minor),
        key=f"console-{secrets.token_hex(16)}",
    )


@router.post(PATH + "/{act}", dependencies=[MAY_MOVE])
async def do_act(
    payment_id: str, act: PaymentAct, form: PostedForm, by: ByOperator, deps: Deps = Depends(deps_of)
) -> Response:
    """Let the gateway do it."""
    payment = (await show_payment(deps, payment_id)).payment
    amount_minor, reason = _read(payment, act, form, is_confirmed=True)
    key = form.get("key", "")
    if not (key.startswith("console-") and key.isascii() and len(key) <= KEY_MAX):
        raise InvalidRequest("Begin again at the payment's page.")
    done = await act_on_payment(deps, by, payment_id, act, reason=reason, amount_minor=amount_minor, key=key)
    is_pending = done.get("status") in ("pending", "processing", "unknown")
    return RedirectResponse(f"/console/payments/{payment_id}?told={'pending' if is_pending else act}", 303)


def _form(
    request: Request,
    payment: dict[str, Any],
    act: PaymentAct,
    *,
    typed: dict[str, str],
    refusal: str | None = None,
) -> Response:
    remaining = remaining_minor(payment, act)
    most = plain_minor(remaining, payment["currency"])
    return page(
        request,
        "payment_act.html",
        status=422 if refusal else 200,
        p=payment,
        act=act,
        remaining=remaining,
        typed={"amount": most, "reason": ""} | typed,
        refusal=refusal,
        reason_max=REASON_MAX,
    )


def _read(
    payment: dict[str, Any], act: PaymentAct, form: PostedForm, *, is_confirmed: bool = False
) -> tuple[int, str]:
    """Amount in minor units and reason. Raises InvalidRequest, in words for the form. What remains is the gateway's to
    judge once a form is confirmed: it may have been done already, and sent again it is told so."""
    reason = form.get("reason", "")
    if not REASON_MIN <= len(reason) <= REASON_MAX:
        raise InvalidRequest("Say why: it stands in the audit log beside your name.")
    remaining = remaining_minor(payment, act)
    if act is PaymentAct.VOID:
        return remaining, reason
    try:
        minor = Decimal(form.get("amount", "").replace(",", "")).scaleb(CURRENCIES[payment["currency"]])
        if not minor.is_finite() or minor != minor.to_integral_value():
            raise InvalidOperation
    except InvalidOperation:
        raise InvalidRequest(f"An amount is written in {payment['currency']}, with its decimals.") from None
    if not minor > 0 or (minor > remaining and not is_confirmed):
        most = format_minor(remaining, payment["currency"])
        raise InvalidRequest(f"The amount lies above nothing and at most at {most} {payment['currency']}.")
    return int(minor), reason
