"""Confirm a payment that was created without it, or whose last try was refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payment_gateway.domain import payment as machine
from payment_gateway.domain.payment import OperationInProgress, Payment, Status
from payment_gateway.operations.answer_request import Answer, find_stored
from payment_gateway.operations.charge_payment import charge_payment
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.find_payments import get_payment
from payment_gateway.operations.problems import MethodMissing, problem_of
from payment_gateway.operations.saved_method import with_saved
from payment_gateway.store.commit import Locked
from platform_kit.idempotency import IdempotencyKey
from platform_kit.ids import new_id


@dataclass(frozen=True, slots=True)
class ConfirmPayment:
    """`method` None = the one that the payment has."""

    merchant_id: str
    payment_id: str
    key: IdempotencyKey
    method: Mapping[str, Any] | None = None
    payment_method: str | None = None
    """A saved one, in place of `method`."""


async def confirm_payment(deps: Deps, command: ConfirmPayment) -> Answer:
    """200 with the payment as the channel answered, 202 when that is not known yet.

    Raises NotFound, MethodMissing, InvalidState and what `charge_payment` raises.
    """
    found = await get_payment(deps, command.merchant_id, command.payment_id)
    wanted = command.key.claim(f"{command.merchant_id} POST /v1/payments/{{id}}/confirm", new_id("att"))
    if stored := await find_stored(deps, wanted):
        return stored
    named, _ = await with_saved(
        deps,
        command.merchant_id,
        payment_method=command.payment_method,
        customer_id=None,
        method=command.method,
        customer=None,
    )
    method = named or found.method
    if method is None and found.status is Status.REQUIRES_PAYMENT_METHOD:
        raise MethodMissing()
    try:
        payment = machine.confirmed(found, deps.clock.now(), method=method)
    except machine.IllegalTransition as refusal:
        raise problem_of(refusal) from None

    def begin(locked: Locked) -> Payment:
        assert locked.payment is not None
        if locked.payment.version != found.version:  # what was assessed is not what would be charged
            raise OperationInProgress()
        return machine.confirmed(locked.payment, locked.now, method=method)

    return await charge_payment(deps, wanted, payment, begin, event="payment.confirmed.v1", is_new=False)
