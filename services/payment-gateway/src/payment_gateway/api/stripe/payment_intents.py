"""Stripe's payment intents and charges, on our payments."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from payment_gateway.api.access import Caller, Merchant
from payment_gateway.api.sandbox_faults import SandboxFault, fingerprint_with, with_fault
from payment_gateway.api.stripe.calls import (
    is_by_state,
    key_of,
    respond_on_intent,
    respond_to_charge,
    settled,
    window_of,
)
from payment_gateway.api.stripe.errors import INVALID_CURRENCY, InvalidParameter
from payment_gateway.api.stripe.form import Parameters, read_form
from payment_gateway.api.stripe.names import native_id
from payment_gateway.api.stripe.payment_methods import method_of
from payment_gateway.api.stripe.route import StripeRoute
from payment_gateway.domain import stripe_objects as render
from payment_gateway.domain.objects import payment_object
from payment_gateway.domain.payment import Payment
from payment_gateway.domain.statement_descriptor import FORBIDDEN, is_statement_descriptor
from payment_gateway.operations.cancel_payment import cancel_payment
from payment_gateway.operations.capture_payment import capture_payment
from payment_gateway.operations.confirm_payment import ConfirmPayment, confirm_payment
from payment_gateway.operations.create_payment import CreatePayment, create_payment
from payment_gateway.operations.find_payments import get_payment, list_payments
from payment_gateway.operations.mark_and_ask import Act
from payment_gateway.operations.update_payment import UpdatePayment, update_payment
from platform_kit.app import JsonResponse
from platform_kit.money import CURRENCIES

router = APIRouter(prefix="/v1", tags=["payments"], route_class=StripeRoute, include_in_schema=False)

_ACCEPTED: Final = (
    "automatic_payment_methods",
    "client_secret",
    "confirmation_method",
    "error_on_requires_action",
    "mandate_data",
    "off_session",
    "payment_method_options",
    "payment_method_types",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "shipping",
    "statement_descriptor_suffix",
    "use_stripe_sdk",
)
"""What says how a browser confirms or where a payer is sent: taken, and without effect on a server-side gateway."""


@router.post("/payment_intents")
async def create(request: Request, caller: Merchant, fault: SandboxFault = None) -> Response:
    given = Parameters(await read_form(request))
    amount, currency = given.integer("amount", least=1), given.required("currency").upper()
    if amount is None:
        raise InvalidParameter("Missing required param: amount.", "amount", "parameter_missing")
    if currency not in CURRENCIES:
        raise InvalidParameter(INVALID_CURRENCY, "currency", "invalid_currency")
    payment_method, method = method_of(given)
    command = CreatePayment(
        merchant_id=caller.merchant_id,
        key=await key_of(request, caller.merchant_id, fingerprint_with(fault)),
        amount_minor=amount,
        currency=currency,
        capture=_capture(given) or "automatic",
        method=method,
        payment_method=payment_method,
        customer_id=given.text("customer"),
        reference=None,
        description=given.text("description"),
        statement_descriptor=_descriptor(given),
        customer=None,
        metadata=with_fault(given.metadata() or {}, fault if caller.deps.settings.sandbox else None),
        confirm=given.flag("confirm"),
    )
    if command.confirm and method is None and payment_method is None:
        raise InvalidParameter(
            "A payment_method is needed to confirm.", "payment_method", "parameter_missing"
        )
    given.ignore(*_ACCEPTED)
    given.done()
    answer = await settled(lambda: create_payment(caller.deps, command))
    return respond_to_charge(answer, render.payment_intent)


@router.get("/payment_intents")
async def list_all(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    window = window_of(given, "pi")
    customer = given.text("customer")
    given.done()
    page = await list_payments(caller.deps, caller.merchant_id, window, customer=customer)
    shown = [payment_object(payment) for payment in page.items]
    return JsonResponse(
        render.object_list("/v1/payment_intents", shown, page.has_more, render.payment_intent)
    )


@router.get("/payment_intents/{intent}")
async def retrieve(intent: str, request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    given.ignore("client_secret")
    given.done()
    return JsonResponse(render.payment_intent(payment_object(await _payment(caller, "pi", intent))))


@router.post("/payment_intents/{intent}")
async def update(intent: str, request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    payment = await _payment(caller, "pi", intent)
    payment_method, method = method_of(given)
    changes: dict[str, Any] = {
        "amount_minor": given.integer("amount", least=1),
        "capture": _capture(given),
        "method": method,
        "payment_method": payment_method,
        "customer_id": given.text("customer"),
        "description": given.text("description"),
        "statement_descriptor": _descriptor(given),
        "metadata": given.metadata(dict(payment.metadata)),
    }
    key = await key_of(request, caller.merchant_id)
    command = UpdatePayment(
        merchant_id=caller.merchant_id,
        payment_id=payment.id,
        key=key,
        changes={name: value for name, value in changes.items() if value is not None},
    )
    given.ignore(*_ACCEPTED)
    given.done()
    return await respond_on_intent(
        caller, payment.id, await settled(lambda: update_payment(caller.deps, command)), render.payment_intent
    )


@router.post("/payment_intents/{intent}/confirm")
async def confirm(intent: str, request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    payment_method, method = method_of(given)
    given.ignore(*_ACCEPTED)
    given.done()
    key = await key_of(request, caller.merchant_id)
    command = ConfirmPayment(
        merchant_id=caller.merchant_id,
        payment_id=native_id("pi", intent),
        key=key,
        method=method,
        payment_method=payment_method,
    )
    answer = await settled(lambda: confirm_payment(caller.deps, command))
    if is_by_state(answer):
        return await respond_on_intent(caller, command.payment_id, answer, render.payment_intent)
    return respond_to_charge(answer, render.payment_intent)


@router.post("/payment_intents/{intent}/capture")
async def capture(intent: str, request: Request, caller: Merchant) -> Response:
    """As Stripe does, a part that is captured gives up the rest, unless it says that it is not the final one."""
    given = Parameters(await read_form(request))
    act = await _act(request, caller, intent, given.integer("amount_to_capture", least=1))
    is_final = given.flag("final_capture", default=True)
    given.ignore("statement_descriptor", "statement_descriptor_suffix", "metadata")
    given.done()
    answer = await settled(lambda: capture_payment(caller.deps, act, is_final=is_final))
    return await respond_on_intent(caller, act.payment_id, answer, render.payment_intent)


@router.post("/payment_intents/{intent}/cancel")
async def cancel(intent: str, request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    given.choice("cancellation_reason", "duplicate", "fraudulent", "requested_by_customer", "abandoned")
    given.done()
    act = await _act(request, caller, intent)
    answer = await settled(lambda: cancel_payment(caller.deps, act))
    return await respond_on_intent(caller, act.payment_id, answer, render.payment_intent)


@router.get("/charges")
async def list_charges(request: Request, caller: Merchant) -> Response:
    given = Parameters(await read_form(request))
    window = window_of(given, "ch")
    intent, customer = given.text("payment_intent"), given.text("customer")
    given.done()
    if intent is not None:
        payment = await _payment(caller, "pi", intent)
        found, has_more = ([payment] if payment.channel else []), False
    else:
        page = await list_payments(
            caller.deps, caller.merchant_id, window, customer=customer, channel_was_asked="true"
        )
        found, has_more = list(page.items), page.has_more
    shown = [payment_object(payment) for payment in found]
    return JsonResponse(render.object_list("/v1/charges", shown, has_more, render.charge))


@router.get("/charges/{charge}")
async def retrieve_charge(charge: str, request: Request, caller: Merchant) -> Response:
    Parameters(await read_form(request)).done()
    return JsonResponse(render.charge(payment_object(await _payment(caller, "ch", charge))))


async def _payment(caller: Caller, prefix: str, given: str) -> Payment:
    return await get_payment(caller.deps, caller.merchant_id, native_id(prefix, given))


async def _act(request: Request, caller: Caller, intent: str, amount_minor: int | None = None) -> Act:
    key = await key_of(request, caller.merchant_id)
    return Act(
        merchant_id=caller.merchant_id,
        payment_id=native_id("pi", intent),
        key=key,
        amount_minor=amount_minor,
    )


def _descriptor(given: Parameters) -> str | None:
    text = given.text("statement_descriptor")
    if text is not None and not is_statement_descriptor(text):
        raise InvalidParameter(
            "The statement descriptor cannot be shown: 5 to 22 printable ASCII characters, one of them a letter, and"
            f" none of {' '.join(sorted(FORBIDDEN))}",
            "statement_descriptor",
        )
    return text


def _capture(given: Parameters) -> str | None:
    wanted = given.choice("capture_method", "automatic", "automatic_async", "manual")
    return "automatic" if wanted == "automatic_async" else wanted
