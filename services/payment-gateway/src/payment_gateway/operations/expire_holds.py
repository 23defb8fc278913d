"""Holds do not last for ever, nor do actions that no payer takes: give them up at the channel after their lifetime."""

from __future__ import annotations

from payment_gateway.domain import payment as machine
from payment_gateway.domain.attempt import Attempt, Operation
from payment_gateway.domain.payment import Event, Payment, Status
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.mark_and_ask import first_attempt_id
from payment_gateway.operations.record_answer import record
from payment_gateway.store import attempts, payments
from payment_gateway.store.commit import Commit, Done, Effects, Locked
from platform_kit import canonical
from platform_kit.ids import new_id

EXPIRE_MAX = 100  # per run


async def expire_holds(deps: Deps) -> int:
    """Returns how many holds were given up."""
    async with deps.engine.connect() as connection:
        due = await payments.expiring(
            connection, deps.settings.hold_lifetime_s, deps.settings.action_lifetime_s, EXPIRE_MAX
        )
    expired = [await _expire(deps, payment) for payment in due]
    canonical.add(expired=sum(expired))
    return sum(expired)


async def _expire(deps: Deps, payment: Payment) -> bool:
    """The same two commits as a void; a capture that came first wins, whichever order the two arrive in."""

    async with deps.engine.connect() as connection:
        asked = await attempts.authorisation_of(connection, payment.id)

    def mark(locked: Locked) -> Effects:
        assert locked.payment is not None
        held = locked.payment
        waits = held.status is Status.REQUIRES_ACTION
        if not waits and held.status not in (Status.AUTHORISED, Status.PARTIALLY_CAPTURED):
            raise machine.IllegalTransition(held.status, Event.EXPIRE)
        attempt = Attempt(
            id=new_id("att"),
            payment_id=payment.id,
            operation=Operation.EXPIRE,
            channel=str(held.channel),
            amount_minor=held.capturable_minor,
            surcharge_minor=held.surcharge_left_minor,
            currency=held.currency,
            sent_at=locked.now,
            original=held.authorised_by or held.open_attempt_id or first_attempt_id(held.id),
        )
        if waits:
            marked = machine.replace_attempt(held, attempt.id, locked.now, asked=asked)
        else:
            marked = machine.open_attempt(held, attempt.id, locked.now)
        return Effects(payment=marked, attempt=attempt)

    done = await deps.committer.submit(Commit(mark, payment_id=payment.id))
    if not isinstance(done, Done) or done.attempt is None:
        return False
    outcome = await deps.channels[done.attempt.channel].send(done.attempt, {})
    await record(deps, payment.merchant_id, done.attempt, outcome)
    return True
