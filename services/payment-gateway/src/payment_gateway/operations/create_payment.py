"""Create a payment, and confirm it at once unless the merchant wants to do that later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from payment_gateway.domain.payment import Payment, Status
from payment_gateway.operations.answer_request import (
    CREATE_ROUTE,
    Answer,
    claim,
    find_stored,
    payment_response,
)
from payment_gateway.operations.charge_payment import charge_payment
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.events import payment_event
from payment_gateway.operations.mark_and_ask import first_attempt_id
from payment_gateway.operations.saved_method import known_payer, sealed_payer, with_saved
from payment_gateway.store.commit import Commit, Effects, Locked
from platform_kit import canonical
from platform_kit.idempotency import Claim, IdempotencyKey
from platform_kit.ids import new_id


@dataclass(frozen=True, slots=True)
class CreatePayment:
    """What a merchant asks for. `amount_minor` > 0 in minor units; `method` is {"type": "card", "token": ...} or
    {"type": "wallet", "provider": ...}, or None as long as `confirm` is false; `capture` is automatic or manual."""

    merchant_id: str
    key: IdempotencyKey
    amount_minor: int
    currency: str
    capture: str
    method: Mapping[str, Any] | None
    reference: str | None
    description: str | None
    customer: Mapping[str, Any] | None
    metadata: Mapping[str, str]
    statement_descriptor: str | None = None
    surcharge_minor: int = 0
    """The part of `amount_minor` that is on top of the price, within the cap."""
    confirm: bool = True
    payment_method: str | None = None
    """A saved one, in place of `method`."""
    customer_id: str | None = None


async def create_payment(deps: Deps, command: CreatePayment) -> Answer:
    """201 with the payment: as the channel answered, or waiting for its confirmation; 202 when that is not known yet.

    Raises what `with_saved`, `sealed_payer` and `charge_payment` raise.
    """
    payment_id = new_id("pay")
    wanted = command.key.claim(f"{command.merchant_id} {CREATE_ROUTE}", first_attempt_id(payment_id))
    # A repeated key meets its stored answer in the commit that would claim it; only what may be refused before that,
    # and was not the first time, or would add a subject, makes it worth to look earlier.
    looked = command.payment_method is not None or command.customer_id is not None
    if looked and (stored := await find_stored(deps, wanted)):
        return stored
    method, customer = await with_saved(
        deps,
        command.merchant_id,
        payment_method=command.payment_method,
        customer_id=command.customer_id,
        method=command.method,
        customer=command.customer,
    )
    payer = await known_payer(deps, command.merchant_id, customer)
    if customer and payer is None and not looked and (stored := await find_stored(deps, wanted)):
        return stored
    customer = await sealed_payer(deps, command.merchant_id, payment_id, customer, payer)
    command = replace(command, method=method, customer=customer)
    payment = _new(deps, payment_id, command)
    if not command.confirm:
        return await _keep(deps, wanted, payment)

    def begin(locked: Locked) -> Payment:
        return replace(payment, created_at=locked.now, updated_at=locked.now)

    return await charge_payment(deps, wanted, payment, begin, event="payment.created.v1", is_new=True)


async def _keep(deps: Deps, wanted: Claim, payment: Payment) -> Answer:
    """A payment that waits for its confirmation: one commit, and nobody is asked."""

    def decide(locked: Locked) -> Effects:
        kept = replace(payment, created_at=locked.now, updated_at=locked.now)
        told = payment_event("payment.created.v1", kept)
        return Effects(payment=kept, events=(told,), response=payment_response(kept))

    canonical.add(payment_id=payment.id)
    done = await claim(deps, Commit(decide, claim=wanted))
    if isinstance(done, Answer):
        return done
    assert done.response is not None
    return Answer(done.response.status, done.response.body)


def _new(deps: Deps, payment_id: str, command: CreatePayment) -> Payment:
    """Its times are the database's once it is written."""
    if command.confirm:
        status = Status.PROCESSING
    else:
        status = Status.REQUIRES_CONFIRMATION if command.method else Status.REQUIRES_PAYMENT_METHOD
    now = deps.clock.now()
    return Payment(
        id=payment_id,
        merchant_id=command.merchant_id,
        amount_minor=command.amount_minor,
        surcharge_minor=command.surcharge_minor,
        currency=command.currency,
        capture=command.capture,
        method=command.method,
        channel=None,
        status=status,
        created_at=now,
        updated_at=now,
        reference=command.reference,
        description=command.description,
        statement_descriptor=command.statement_descriptor,
        customer=command.customer,
        metadata=command.metadata,
    )
