"""Capture a held payment, in one part or several."""

from __future__ import annotations

from dataclasses import replace

from payment_gateway.domain import payment as machine
from payment_gateway.domain.attempt import Attempt, Operation
from payment_gateway.domain.payment import Payment
from payment_gateway.operations.answer_request import Answer
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.mark_and_ask import Act, mark_and_ask
from payment_gateway.store.commit import Effects, Locked


async def capture_payment(deps: Deps, act: Act, *, is_final: bool = False) -> Answer:
    """200 with the payment; a final capture gives up what it leaves of the hold. Raises what `mark_and_ask` raises."""

    def mark(payment: Payment, attempt: Attempt, locked: Locked) -> Effects:
        amount_minor = machine.check_capture(payment, act.amount_minor)
        marked = machine.open_attempt(payment, attempt.id, locked.now)
        before, after = payment.captured_minor, payment.captured_minor + amount_minor
        surcharge = payment.surcharge_in(after) - payment.surcharge_in(before)
        asked = replace(attempt, amount_minor=amount_minor, surcharge_minor=surcharge)
        return Effects(payment=marked, attempt=asked)

    operation = Operation.FINAL_CAPTURE if is_final else Operation.CAPTURE
    return await mark_and_ask(deps, act, operation, mark, route="capture")
