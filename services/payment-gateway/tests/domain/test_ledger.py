"""Postings and what they do to accounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.domain import postings
from payment_gateway.domain.ledger import (
    Account,
    AccountName,
    InsufficientFunds,
    Posting,
    PostingKind,
    apply,
    channel_receivable,
)

A = AccountName("ledger:m", "a", "EUR")
B = AccountName("ledger:m", "b", "EUR")
JPY = AccountName("ledger:m", "b", "JPY")


def accounts(floor_minor: int | None = None) -> dict[AccountName, Account]:
    return {A: Account(1, A, floor_minor=floor_minor), B: Account(2, B)}


@pytest.mark.parametrize("amount_minor", [0, -5])
def test_a_posting_moves_a_positive_amount(amount_minor: int) -> None:
    with pytest.raises(ValueError):
        Posting(A, B, amount_minor)


@pytest.mark.parametrize("other", [A, JPY])
def test_a_posting_joins_two_accounts_of_one_currency(other: AccountName) -> None:
    with pytest.raises(ValueError):
        Posting(A, other, 1)


kinds = st.sampled_from([PostingKind.POSTED, PostingKind.PENDING])


@given(st.lists(st.builds(Posting, st.just(A), st.just(B), st.integers(1, 10**12), kinds), max_size=20))
def test_debits_and_credits_are_always_equal(lines: list[Posting]) -> None:
    after = accounts() | apply(accounts(), lines)
    assert sum(a.debits_posted for a in after.values()) == sum(a.credits_posted for a in after.values())
    assert sum(a.debits_pending for a in after.values()) == sum(a.credits_pending for a in after.values())


def test_a_hold_that_is_posted_in_part_and_released_leaves_nothing_pending() -> None:
    where = ("m", "card_sim", "EUR")
    receivable, pending = (
        channel_receivable("card_sim", "EUR"),
        postings.merchant_account("m", "pending", "EUR"),
    )
    lines = (
        *postings.hold(*where, 100),
        *postings.capture_of_hold(*where, 60),
        *postings.release_of_hold(*where, 40),
    )
    after = apply({receivable: Account(1, receivable), pending: Account(2, pending)}, lines)
    assert (after[pending].available_minor, after[pending].credits_pending) == (60, 0)
    assert (after[receivable].debits_posted, after[receivable].debits_pending) == (60, 0)


def test_holds_count_against_what_is_available_and_incoming_ones_do_not() -> None:
    after = apply(accounts(), [Posting(A, B, 10, PostingKind.PENDING)])
    assert (after[A].available_minor, after[B].available_minor) == (-10, 0)


def test_an_account_never_falls_below_its_floor() -> None:
    bounded = accounts(floor_minor=-50)
    assert apply(bounded, [Posting(A, B, 50)])[A].available_minor == -50
    with pytest.raises(InsufficientFunds) as refusal:
        apply(bounded, [Posting(A, B, 51)])
    assert refusal.value.account == A
    assert bounded[A].debits_posted == 0, "a refusal changes nothing"


def test_two_debits_that_fit_alone_are_refused_together() -> None:
    with pytest.raises(InsufficientFunds):
        apply(accounts(floor_minor=-50), [Posting(A, B, 30), Posting(A, B, 30)])
