"""Cancel a payment, whatever of it there is: nothing yet, an action that the payer has not taken, or a hold."""

from __future__ import annotations

from payment_gateway.domain import payment as machine
from payment_gateway.domain.attempt import Attempt, Operation
from payment_gateway.domain.payment import Event, Payment, Status, allowed_events
from payment_gateway.operations.answer_request import Answer, payment_response
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.events import payment_event
from payment_gateway.operations.mark_and_ask import Act, mark_and_ask
from payment_gateway.operations.void_payment import give_up_hold
from payment_gateway.store import attempts
from payment_gateway.store.commit import Effects, Locked


async def cancel_payment(deps: Deps, act: Act) -> Answer:
    """200 with the payment: `cancelled`, or `voided` when there was a hold. Raises what `mark_and_ask` raises."""

    async with deps.engine.connect() as connection:
        asked = await attempts.authorisation_of(connection, act.payment_id)

    def mark(payment: Payment, attempt: Attempt, locked: Locked) -> Effects:
        if payment.status is Status.REQUIRES_ACTION:
            marked = machine.replace_attempt(payment, attempt.id, locked.now, asked=asked)
            return Effects(payment=marked, attempt=attempt)
        if Event.CANCEL in allowed_events(payment.status):
            cancelled = machine.cancelled(payment, locked.now)
            told = payment_event("payment.cancelled.v1", cancelled)
            return Effects(payment=cancelled, events=(told,), response=payment_response(cancelled, 200))
        return give_up_hold(payment, attempt, locked, Event.CANCEL)

    return await mark_and_ask(deps, act, Operation.VOID, mark, route="cancel")
