"""A channel did what we had given up on (killbill #660): put it on record, give the money back, and tell both.

commit 1   the late success on the payment's timeline, its money on the channel's unclaimed account, and the attempt
           that will give it back
commit 2   (resolver) what became of that: the unclaimed account is even again

The payment stays as it was: its merchant was told that it failed, and may have sold the goods to somebody else.
"""

from __future__ import annotations

from dataclasses import replace

from payment_gateway.clients.channel_alarms import late_success, reversal_refused
from payment_gateway.domain import ledger
from payment_gateway.domain.attempt import (
    Attempt,
    Declined,
    NotProcessed,
    Operation,
    Outcome,
    Succeeded,
    next_resolve_at,
)
from payment_gateway.domain.ledger import Journal
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.events import payment_event
from payment_gateway.store import reversals
from payment_gateway.store.commit import ChannelEventReceived, Commit, Done, Effects, Locked
from platform_kit.ids import new_id


def reversal_id(attempt_id: str) -> str:
    """The attempt that gives back what `attempt_id` took."""
    return f"{attempt_id}-reversal"


async def record_late_success(
    deps: Deps, attempt: Attempt, outcome: Succeeded, received: ChannelEventReceived | None
) -> Done:
    """Recording it again changes nothing."""
    operation = Operation.LATE_REFUND if outcome.is_captured else Operation.LATE_VOID
    reversal = replace(
        attempt, id=reversal_id(attempt.id), operation=operation, original=attempt.id, claim=None
    )
    taken = ledger.unclaimed_charge(attempt.channel, attempt.currency, attempt.amount_minor)
    postings = taken if outcome.is_captured else ()

    def decide(locked: Locked) -> Effects:
        assert locked.payment is not None
        if reversal.id in locked.rows or locked.payment.authorised_by == attempt.id:
            return Effects()
        journal = Journal(new_id("je"), attempt.payment_id, postings) if postings else None
        told = payment_event(
            "payment.late_success.v1", locked.payment, attempt=attempt, outcome=outcome, journal=journal,
            at=locked.now,
        )  # fmt: skip
        return Effects(
            answers=((attempt, outcome, None),),
            rows=((reversals, replace(reversal, sent_at=locked.now)),),
            journal=journal,
            events=(told,),
        )

    done = await deps.committer.submit(
        Commit(
            decide,
            payment_id=attempt.payment_id,
            also=((reversals, reversal.id),),
            accounts=tuple(name for posting in postings for name in (posting.debit, posting.credit)),
            received=received,
        )
    )
    assert isinstance(done, Done), f"a late success is never refused: {done}"
    late_success(attempt.channel, attempt.id)
    return done


async def record_reversal(deps: Deps, attempt: Attempt, outcome: Outcome, tries: int) -> None:
    """What became of giving it back; asked again until the channel has said so."""
    returned = ledger.unclaimed_refund(attempt.channel, attempt.currency, attempt.amount_minor)
    is_done = isinstance(outcome, Succeeded)
    postings = returned if is_done and attempt.operation is Operation.LATE_REFUND else ()
    is_final = isinstance(outcome, Succeeded | Declined)

    def decide(locked: Locked) -> Effects:
        assert locked.payment is not None
        if locked.rows.get(attempt.id) is True:
            return Effects()
        due_at = None if is_final else next_resolve_at(tries, locked.now)
        journal = Journal(new_id("je"), attempt.payment_id, postings) if postings else None
        told = payment_event(
            "payment.late_reversed.v1", locked.payment, attempt=attempt, outcome=outcome, journal=journal,
            at=locked.now,
        )  # fmt: skip
        return Effects(
            answers=((attempt, outcome, due_at),), journal=journal, events=(told,) if is_final else ()
        )

    await deps.committer.submit(
        Commit(
            decide,
            payment_id=attempt.payment_id,
            also=((reversals, attempt.id),),
            accounts=tuple(name for posting in postings for name in (posting.debit, posting.credit)),
        )
    )
    if isinstance(outcome, Declined | NotProcessed):
        reversal_refused(attempt.channel, attempt.id, outcome.code)
