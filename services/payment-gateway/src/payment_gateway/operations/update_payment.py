"""Change a payment: its words at any time, what is to be charged only before it is confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from payment_gateway.domain import payment as machine
from payment_gateway.domain.payment import Payment
from payment_gateway.operations.answer_request import Answer, claim, find_stored, payment_response
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.events import payment_event
from payment_gateway.operations.find_payments import get_payment
from payment_gateway.operations.problems import stored_refusal
from payment_gateway.operations.saved_method import sealed_payer, with_saved
from payment_gateway.store.commit import Commit, Effects, Locked
from platform_kit.idempotency import IdempotencyKey
from platform_kit.ids import new_id

WORDS: Final = frozenset({"reference", "description", "metadata"})
"""What says nothing about the charge."""


@dataclass(frozen=True, slots=True)
class UpdatePayment:
    """`changes`: field of the payment -> its new value; what is not named stays."""

    merchant_id: str
    payment_id: str
    key: IdempotencyKey
    changes: Mapping[str, Any]


async def update_payment(deps: Deps, command: UpdatePayment) -> Answer:
    """200 with the payment. Raises NotFound, InvalidState, KeyReused, KeyInProgress."""
    payment = await get_payment(deps, command.merchant_id, command.payment_id)
    wanted = command.key.claim(f"{command.merchant_id} POST /v1/payments/{{id}}", new_id("act"))
    if stored := await find_stored(deps, wanted):
        return stored

    changes = await _with_saved(deps, command)

    def decide(locked: Locked) -> Effects:
        assert locked.payment is not None
        changed = _changed(locked.payment, changes, locked)
        told = payment_event("payment.updated.v1", changed)
        return Effects(payment=changed, events=(told,), response=payment_response(changed, 200))

    commit = Commit(decide, payment_id=payment.id, claim=wanted, refusal_response=stored_refusal)
    done = await claim(deps, commit)
    if isinstance(done, Answer):
        return done
    assert done.response is not None
    return Answer(done.response.status, done.response.body)


async def _with_saved(deps: Deps, command: UpdatePayment) -> Mapping[str, Any]:
    """The changes, with what was saved in the place of `payment_method` and `customer_id`, and the payer sealed."""
    changes = dict(command.changes)
    named, customer_id = changes.pop("payment_method", None), changes.pop("customer_id", None)
    if named is None and customer_id is None and "customer" not in changes:
        return changes
    method, customer = await with_saved(
        deps,
        command.merchant_id,
        payment_method=named,
        customer_id=customer_id,
        method=changes.get("method"),
        customer=changes.get("customer"),
    )
    customer = await sealed_payer(deps, command.merchant_id, command.payment_id, customer)
    changed = {"method": method, "customer": customer}
    return changes | {name: value for name, value in changed.items() if value is not None}


def _changed(payment: Payment, changes: Mapping[str, Any], locked: Locked) -> Payment:
    change = machine.annotated if changes.keys() <= WORDS else machine.prepared
    return change(payment, locked.now, **changes)
