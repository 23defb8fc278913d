"""The state machine, every pair of it."""

from __future__ import annotations

from itertools import product

import pytest
from factories import NOON, a_payment, captured, held
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.domain import payment as machine
from payment_gateway.domain.payment import (
    FINAL,
    TRANSITIONS,
    AmountExceedsRemaining,
    Event,
    IllegalTransition,
    OperationInProgress,
    Status,
)


@pytest.mark.parametrize(("status", "event", "to"), list(product(Status, Event, Status)))
def test_a_payment_moves_exactly_as_the_table_says(status: Status, event: Event, to: Status) -> None:
    payment = a_payment(status=status)
    if to in TRANSITIONS.get((status, event), frozenset()):
        assert machine.advance(payment, event, to, NOON).status is to
    else:
        with pytest.raises(IllegalTransition) as refusal:
            machine.advance(payment, event, to, NOON)
        assert refusal.value.allowed == machine.allowed_events(status)


@pytest.mark.parametrize("status", sorted(FINAL))
def test_nothing_leads_out_of_a_final_state(status: Status) -> None:
    assert machine.allowed_events(status) == []


def test_every_state_can_be_reached_from_the_two_that_a_payment_starts_in() -> None:
    reached = {Status.REQUIRES_PAYMENT_METHOD, Status.PROCESSING}
    while True:
        further = {to for (start, _), ends in TRANSITIONS.items() if start in reached for to in ends}
        if further <= reached:
            break
        reached |= further
    assert reached == set(Status)


def test_a_hold_is_captured_in_parts_until_nothing_is_left() -> None:
    payment = machine.captured(held(), 4_000, NOON)
    assert (payment.status, payment.capturable_minor) == (Status.PARTIALLY_CAPTURED, 6_000)
    payment = machine.captured(payment, 6_000, NOON)
    assert (payment.status, payment.capturable_minor) == (Status.CAPTURED, 0)


@pytest.mark.parametrize("amount_minor", [0, -1, 10_001])
def test_a_capture_beyond_the_hold_is_refused(amount_minor: int) -> None:
    with pytest.raises(AmountExceedsRemaining) as refusal:
        machine.check_capture(held(), amount_minor)
    assert refusal.value.remaining_minor == 10_000


def test_recording_more_than_the_hold_is_refused_too() -> None:
    with pytest.raises(AmountExceedsRemaining):
        machine.captured(held(), 10_001, NOON)


def test_a_declined_payment_cannot_be_captured() -> None:
    with pytest.raises(IllegalTransition):
        machine.check_capture(a_payment(status=Status.DECLINED), 1)


def test_a_second_question_waits_for_the_first() -> None:
    marked = machine.open_attempt(held(), "att_1", NOON)
    with pytest.raises(OperationInProgress):
        machine.open_attempt(marked, "att_2", NOON)


def test_giving_up_the_rest_of_a_partial_capture_leaves_it_captured() -> None:
    partly = machine.captured(held(), 4_000, NOON)
    assert machine.voided(partly, NOON).status is Status.CAPTURED
    assert machine.voided(held(), NOON).status is Status.VOIDED
    assert machine.voided(held(), NOON, Event.EXPIRE).status is Status.EXPIRED


def test_a_lost_answer_is_unknown_and_stays_so_until_it_is_found() -> None:
    lost = machine.answer_lost(a_payment(), NOON)
    assert lost.status is Status.UNKNOWN
    assert machine.answer_lost(lost, NOON) is lost


@given(st.lists(st.integers(-100, 12_000), max_size=12))
def test_no_series_of_refunds_exceeds_what_was_captured(amounts: list[int]) -> None:
    payment = captured()
    for amount_minor in amounts:
        try:
            payment, (reserved, *_) = machine.refund_reserved(payment, amount_minor, NOON)
        except AmountExceedsRemaining:
            continue
        assert reserved == amount_minor > 0
        assert payment.refunded_minor <= payment.captured_minor


def test_a_refund_without_an_amount_takes_what_remains_and_a_failed_one_gives_it_back() -> None:
    reserved, parts = machine.refund_reserved(captured(refunded_minor=2_500), None, NOON)
    assert (parts.amount_minor, reserved.refundable_minor) == (7_500, 0)
    assert machine.refund_released(reserved, parts, NOON).refundable_minor == 7_500


def test_what_is_only_held_cannot_be_refunded() -> None:
    with pytest.raises(IllegalTransition):
        machine.refund_reserved(held(), 1, NOON)
