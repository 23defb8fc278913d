"""Payouts: every pair of state and event, and a balance that a failure restores."""

from __future__ import annotations

from typing import Any

import pytest
from factories import NOON

from payment_gateway.domain import payout as machine
from payment_gateway.domain.ledger import Account, AccountName, apply
from payment_gateway.domain.moves import IllegalMove
from payment_gateway.domain.payout import TRANSITIONS, Payout, PayoutEvent, PayoutStatus
from payment_gateway.domain.postings import merchant_account


def a_payout(**changes: Any) -> Payout:
    values: dict[str, Any] = {
        "id": "po_1", "merchant_id": "mer_1", "amount_minor": 4_000, "currency": "EUR", "destination": "ba_pays",
        "status": PayoutStatus.PENDING, "created_at": NOON, "updated_at": NOON,
    }  # fmt: skip
    return Payout(**values | changes)


@pytest.mark.parametrize("event", PayoutEvent)
@pytest.mark.parametrize("status", PayoutStatus)
def test_each_pair_of_state_and_event_leads_where_the_table_says_or_is_refused(
    status: PayoutStatus, event: PayoutEvent
) -> None:
    to = TRANSITIONS.get((status, event))
    if to is None:
        with pytest.raises(IllegalMove):
            machine.advanced(a_payout(status=status), event, NOON)
    else:
        assert machine.advanced(a_payout(status=status), event, NOON).payout.status is to


@pytest.mark.parametrize(
    "story",
    [
        [PayoutEvent.CANCEL],
        [PayoutEvent.SEND, PayoutEvent.FAIL],
        [PayoutEvent.SEND, PayoutEvent.PAY, PayoutEvent.RETURN],
    ],
)
def test_a_payout_that_does_not_arrive_restores_the_balance(story: list[PayoutEvent]) -> None:
    change = machine.created(a_payout())
    lines = list(change.postings)
    for event in story:
        change = machine.advanced(change.payout, event, NOON)
        lines += change.postings
    names = {name for posting in lines for name in (posting.debit, posting.credit)}
    after = apply({name: Account(i, name) for i, name in enumerate(sorted(names))}, lines)
    assert all(account.available_minor == 0 for account in after.values())
    available: AccountName = merchant_account("mer_1", "available", "EUR")
    assert available in after
