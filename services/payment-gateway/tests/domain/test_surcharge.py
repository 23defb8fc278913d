"""A surcharge: capped, shared out over captures and refunds without a unit lost, balanced in every journal."""

from __future__ import annotations

import pytest
from factories import NOON, a_payment, captured
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.domain import payment as machine
from payment_gateway.domain import postings
from payment_gateway.domain.ledger import Account, Posting, apply
from payment_gateway.domain.payment import AmountExceedsRemaining, Status
from payment_gateway.domain.surcharge import most_surcharge_minor, share_of
from platform_kit.money import AMOUNT_MAX

PARTS = st.lists(st.integers(1, 10**9), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("amount", "most"), [(10_400, 400), (10_399, 399), (104, 4), (26, 1), (25, 0), (1, 0)]
)
def test_the_cap_is_four_percent_of_the_price_rounded_down(amount: int, most: int) -> None:
    assert most_surcharge_minor(amount) == most


@given(st.integers(1, AMOUNT_MAX))
def test_the_cap_of_the_code_is_that_of_the_database(amount: int) -> None:
    most = most_surcharge_minor(amount)
    assert most * 10_400 <= amount * 400 < (most + 1) * 10_400


@given(parts=PARTS, share=st.integers(0, 100))
def test_captures_and_refunds_in_whatever_parts_move_the_whole_surcharge_and_end_even(
    parts: list[int], share: int
) -> None:
    amount = sum(parts)
    surcharge = most_surcharge_minor(amount) * share // 100
    payment = captured(
        amount_minor=amount, authorised_minor=amount, captured_minor=amount, surcharge_minor=surcharge
    )
    where = ("m", "c", "EUR")
    lines = list(postings.hold(*where, amount, surcharge))
    before = 0
    for part in parts:
        here = share_of(surcharge, before + part, amount) - share_of(surcharge, before, amount)
        before += part
        lines += postings.capture_of_hold(*where, part, here)
    for part in parts:
        payment, taken = machine.refund_reserved(payment, part, NOON)
        lines += postings.refund(*where, part, taken.surcharge_minor)
    assert payment.surcharge_refunded_minor == surcharge
    after = balances(lines)
    through = after.get(("merchant:m", "surcharge"))
    if surcharge:
        assert through is not None
        assert (through.credits_posted, through.debits_posted) == (2 * surcharge, 2 * surcharge)
    assert after["channel:c", "receivable"].available_minor == 0
    assert all(account.credits_pending == account.debits_pending == 0 for account in after.values())


def test_a_refused_refund_gives_its_part_of_the_surcharge_back() -> None:
    payment = captured(surcharge_minor=300)
    reserved, parts = machine.refund_reserved(payment, 5_000, NOON)
    assert (parts.surcharge_minor, reserved.surcharge_refunded_minor) == (150, 150)
    assert machine.refund_released(reserved, parts, NOON).surcharge_refunded_minor == 0


def test_an_amount_that_the_surcharge_is_too_high_for_is_refused() -> None:
    draft = a_payment(status=Status.REQUIRES_CONFIRMATION, amount_minor=10_400, surcharge_minor=400)
    assert machine.prepared(draft, NOON, amount_minor=20_000).amount_minor == 20_000
    with pytest.raises(AmountExceedsRemaining):
        machine.prepared(draft, NOON, amount_minor=10_399)


def balances(lines: list[Posting]) -> dict[tuple[str, str], Account]:
    names = {name for line in lines for name in (line.debit, line.credit)}
    accounts = {name: Account(n, name) for n, name in enumerate(names)}
    return {(name.owner, name.kind): account for name, account in apply(accounts, lines).items()}
