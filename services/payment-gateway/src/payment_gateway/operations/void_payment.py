"""Give up what is held and not captured."""

from __future__ import annotations

from payment_gateway.domain import payment as machine
from payment_gateway.domain.attempt import Attempt, Operation
from payment_gateway.domain.payment import Event, Payment, Status
from payment_gateway.operations.answer_request import Answer
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.mark_and_ask import Act, mark_and_ask
from payment_gateway.store.commit import Effects, Locked


async def void_payment(deps: Deps, act: Act) -> Answer:
    """200 with the payment. Raises what `mark_and_ask` raises."""
    return await mark_and_ask(deps, act, Operation.VOID, give_up_hold)


def give_up_hold(payment: Payment, attempt: Attempt, locked: Locked, event: Event = Event.VOID) -> Effects:
    """Mark a held payment as being voided. Raises IllegalTransition (of `event`) for one that holds nothing."""
    if payment.status not in (Status.AUTHORISED, Status.PARTIALLY_CAPTURED):
        raise machine.IllegalTransition(payment.status, event)
    return Effects(payment=machine.open_attempt(payment, attempt.id, locked.now), attempt=attempt)
