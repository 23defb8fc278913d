"""Every change of a dispute, whoever brings it (a channel's report, the merchant, the clock), ends here: payment and
dispute are locked together, so a refund and a dispute of one payment never see the same remaining amount.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from payment_gateway.domain.dispute import Dispute, DisputeChange
from payment_gateway.domain.ledger import AccountName, Journal, channel_receivable
from payment_gateway.domain.payment import Payment
from payment_gateway.domain.postings import merchant_account, platform_account
from payment_gateway.operations.money_events import dispute_event
from payment_gateway.store import disputes
from payment_gateway.store.commit import ChannelEventReceived, Commit, Effects, Locked
from platform_kit.idempotency import Claim, StoredResponse
from platform_kit.ids import new_id

Change = Callable[[Dispute | None, Payment, Locked], DisputeChange | None]
"""The dispute as locked (None: not open yet) and its payment -> what becomes of them; None = nothing new."""


def commit_of_change(
    payment: Payment,
    dispute_id: str,
    change: Change,
    *,
    claim: Claim | None = None,
    response: Callable[[Dispute], StoredResponse] | None = None,
    refusal: Callable[[Exception], StoredResponse | None] = lambda _: None,
    received: ChannelEventReceived | None = None,
    source: dict[str, Any] | None = None,
) -> Commit:
    """`response` makes what the claimed key answers from now on."""

    def decide(locked: Locked) -> Effects:
        assert locked.payment is not None
        found = change(locked.rows.get(dispute_id), locked.payment, locked)
        if found is None:
            return Effects()
        journal = Journal(new_id("je"), payment.id, found.postings) if found.postings else None
        return Effects(
            payment=found.payment if found.payment is not locked.payment else None,
            rows=((disputes, found.dispute),),
            journal=journal,
            events=(dispute_event(found, journal, source),) if found.event else (),
            response=response(found.dispute) if response else None,
        )

    return Commit(
        decide,
        payment_id=payment.id,
        also=((disputes, dispute_id),),
        accounts=_accounts(payment),
        claim=claim,
        refusal_response=refusal,
        received=received,
    )


def _accounts(payment: Payment) -> tuple[AccountName, ...]:
    own = (
        merchant_account(payment.merchant_id, kind, payment.currency) for kind in ("available", "disputed")
    )
    others = (
        channel_receivable(str(payment.channel), payment.currency),
        platform_account("fees", payment.currency),
    )
    return (*others, *own)
