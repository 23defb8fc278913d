"""A bank took a settled payment back: booked as a refund that nobody of ours asked for.

The refund is named after the channel's key of the return: each is recorded once, however often it is reported, and a
payment may come back in parts. It takes from the same remaining amount as refunds and disputes do; what cannot be
booked yet (the success has not been reported, a refund is still pending) is refused here, and its report stays parked
until it can.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from payment_gateway.clients.channel_answers import return_of
from payment_gateway.domain import payment as machine
from payment_gateway.domain import postings
from payment_gateway.domain.attempt import Attempt, Operation, Succeeded
from payment_gateway.domain.ledger import Journal, channel_receivable
from payment_gateway.domain.refund import Refund, RefundStatus
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.events import payment_event
from payment_gateway.store import refunds
from payment_gateway.store.commit import (
    ChannelEventReceived,
    Commit,
    Effects,
    Locked,
    Refused,
)
from platform_kit.ids import new_id


def returned_refund_id(channel: str, key: str) -> str:
    """Always the same for a channel's return."""
    return "rf_" + hashlib.blake2b(f"{channel} {key}".encode(), digest_size=13).hexdigest()


async def record_return(
    deps: Deps,
    merchant_id: str,
    authorisation: Attempt,
    body: Mapping[str, Any],
    received: ChannelEventReceived,
) -> str | None:
    """None when it is booked (now or before), else why it cannot be booked yet."""
    returned = return_of(body)
    if returned is None or returned.currency != authorisation.currency:
        return "not-understood"
    payment_id, channel, currency = authorisation.payment_id, authorisation.channel, authorisation.currency
    key = str(body["channel_key"])
    refund_id = returned_refund_id(channel, key)
    plan = await deps.terms.fee_plan_of(merchant_id)
    returns_fee = plan is not None and plan.returns_on_refund

    accounts = (
        channel_receivable(channel, currency),
        postings.merchant_account(merchant_id, "available", currency),
        postings.merchant_account(merchant_id, "surcharge", currency),
        postings.platform_account("fees", currency),
    )

    def decide(locked: Locked) -> Effects:
        assert locked.payment is not None
        if refund_id in locked.rows:
            return Effects()
        after, parts = machine.refund_reserved(
            locked.payment, returned.amount_minor, locked.now, returns_fee=returns_fee
        )
        amount = parts.amount_minor
        refund = Refund(
            id=refund_id, payment_id=payment_id, merchant_id=merchant_id, amount_minor=amount,
            currency=currency, created_at=locked.now, status=RefundStatus.SUCCEEDED, reason=returned.code,
            fee_returned_minor=parts.fee_returned_minor, surcharge_minor=parts.surcharge_minor,
        )  # fmt: skip
        attempt = Attempt(
            id=key, payment_id=payment_id, operation=Operation.RETURN, channel=channel,
            amount_minor=amount, currency=currency, sent_at=locked.now, original=authorisation.id,
            refund_id=refund_id, surcharge_minor=parts.surcharge_minor,
        )  # fmt: skip
        outcome = Succeeded(returned.reference, amount, currency)
        fee = postings.fee_returned(merchant_id, currency, parts.fee_returned_minor)
        taken = postings.refund(merchant_id, channel, currency, amount, parts.surcharge_minor)
        journal = Journal(new_id("je"), payment_id, (*taken, *fee))
        told = payment_event(
            "refund.succeeded.v1", after, refund=refund, journal=journal, attempt=attempt, outcome=outcome
        )
        return Effects(
            payment=after,
            rows=((refunds, refund),),
            attempt=attempt,
            answers=((attempt, outcome, None),),
            journal=journal,
            events=(told,),
        )

    result = await deps.committer.submit(
        Commit(
            decide,
            payment_id=payment_id,
            also=((refunds, refund_id),),
            accounts=accounts,
            received=received,
        )
    )
    return str(result.error) if isinstance(result, Refused) else None
