"""Disputes: every pair of state and event, and what moves."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from factories import NOON, captured
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.domain import dispute as machine
from payment_gateway.domain import postings
from payment_gateway.domain.dispute import TRANSITIONS, Dispute, DisputeEvent, DisputeStatus
from payment_gateway.domain.fees import FeePlan
from payment_gateway.domain.moves import IllegalMove
from payment_gateway.domain.payment import AmountExceedsRemaining, refund_reserved


def a_dispute(**changes: Any) -> Dispute:
    values: dict[str, Any] = {
        "id": "dp_1", "payment_id": "pay_1", "merchant_id": "mer_1", "channel": "card_sim",
        "channel_reference": "dpt_1", "amount_minor": 4_000, "currency": "EUR", "reason": "fraudulent",
        "status": DisputeStatus.NEEDS_RESPONSE, "evidence_due_at": NOON, "created_at": NOON, "updated_at": NOON,
    }  # fmt: skip
    return Dispute(**values | changes)


@pytest.mark.parametrize("event", DisputeEvent)
@pytest.mark.parametrize("status", DisputeStatus)
def test_each_pair_of_state_and_event_leads_where_the_table_says_or_is_refused(
    status: DisputeStatus, event: DisputeEvent
) -> None:
    dispute, payment = a_dispute(status=status, reserved_minor=4_000), captured(disputed_minor=4_000)
    to = TRANSITIONS.get((status, event))
    if to is None:
        with pytest.raises(IllegalMove):
            machine.advanced(dispute, payment, event, NOON)
    else:
        assert machine.advanced(dispute, payment, event, NOON).dispute.status is to


def test_what_is_over_admits_nothing_any_more_but_the_banks_word_against_ours() -> None:
    over = {DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.WARNING_CLOSED}
    assert {pair for pair in TRANSITIONS if pair[0] in over} == {(DisputeStatus.LOST, DisputeEvent.WIN)}


@pytest.mark.parametrize(("closed_by", "news"), [("run_out", True), ("accept", True), ("lose", False)])
def test_a_win_after_a_loss_is_news_only_if_the_loss_was_not_the_banks(closed_by: str, news: bool) -> None:
    lost = a_dispute(status=DisputeStatus.LOST, closed_by=closed_by)
    assert machine.is_news(lost, DisputeEvent.WIN) is news


def test_a_dispute_that_is_won_after_it_was_given_up_gives_everything_back() -> None:
    opened = machine.opened(a_dispute(amount_minor=10_000), captured(), NOON)
    lost = machine.advanced(opened.dispute, opened.payment, DisputeEvent.RUN_OUT, NOON)
    won = machine.advanced(lost.dispute, lost.payment, DisputeEvent.WIN, NOON)
    assert won.payment.disputed_minor == 0
    moved = Counter[str]()
    for posting in (*opened.postings, *lost.postings, *won.postings):
        moved[posting.debit.kind] -= posting.amount_minor
        moved[posting.credit.kind] += posting.amount_minor
    assert not +moved, "all accounts are where they were"


@given(refunded=st.integers(0, 10_000), disputed=st.integers(1, 20_000))
def test_a_dispute_reserves_at_most_what_refunds_have_left(refunded: int, disputed: int) -> None:
    payment = captured(refunded_minor=refunded)
    change = machine.opened(a_dispute(amount_minor=disputed), payment, NOON)
    assert change.dispute.reserved_minor == min(disputed, 10_000 - refunded)
    assert change.payment.refunded_minor + change.payment.disputed_minor <= change.payment.captured_minor
    assert sum(posting.amount_minor for posting in change.postings) == change.dispute.reserved_minor


def test_a_lost_dispute_stays_taken_from_what_may_be_refunded() -> None:
    opened = machine.opened(a_dispute(amount_minor=10_000), captured(), NOON)
    lost = machine.advanced(opened.dispute, opened.payment, DisputeEvent.LOSE, NOON)
    with pytest.raises(AmountExceedsRemaining):
        refund_reserved(lost.payment, 1, NOON)


@pytest.mark.parametrize("returns", [True, False])
def test_the_fee_comes_with_the_opening_and_goes_back_with_a_win_if_the_plan_said_so(returns: bool) -> None:
    plan = FeePlan((), dispute_minor={"EUR": 1_500}, dispute_returns_when_won=returns)
    opened = machine.opened(a_dispute(), captured(), NOON, plan)
    assert opened.postings[1:] == postings.dispute_fee("mer_1", "EUR", 1_500)
    won = machine.advanced(opened.dispute, opened.payment, DisputeEvent.WIN, NOON)
    assert won.postings[1:] == postings.fee_returned("mer_1", "EUR", 1_500 if returns else 0)
    assert machine.fee_returned_minor(won.dispute) == (1_500 if returns else 0)
    lost = machine.advanced(opened.dispute, opened.payment, DisputeEvent.LOSE, NOON)
    assert (len(lost.postings), machine.fee_returned_minor(lost.dispute)) == (1, 0)


def test_an_inquiry_costs_nothing_until_it_becomes_a_dispute() -> None:
    plan = FeePlan((), dispute_minor={"EUR": 1_500})
    asked = machine.opened(a_dispute(status=DisputeStatus.WARNING), captured(), NOON, plan)
    assert (asked.postings, asked.dispute.fee_minor) == ((), 0)
    grown = machine.advanced(asked.dispute, asked.payment, DisputeEvent.ESCALATE, NOON, plan=plan)
    assert (grown.postings[1].amount_minor, grown.dispute.fee_minor) == (1_500, 1_500)


def test_a_currency_that_the_plan_does_not_name_costs_no_fee() -> None:
    plan = FeePlan((), dispute_minor={"USD": 1_500})
    assert machine.opened(a_dispute(), captured(), NOON, plan).dispute.fee_minor == 0
