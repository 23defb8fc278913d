"""A batch in numbers: whatever moved, its sections net, its accounts add up, and no movement is without a place."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.domain.settlement_batch import (
    ACCOUNTS,
    BALANCE,
    OTHER,
    Movement,
    Section,
    State,
    after_payouts,
    rule_on,
    settle,
)

OURS = [f"merchant:mer_1:{account}" for account in ACCOUNTS]
THEIRS = [
    "channel:card_sim:receivable", "channel:wallet_sim:receivable", "platform:fees", "platform:bank", "platform:fx",
    "platform:suspense", "platform:something_new", "merchant:mer_2:available", "merchant:mer_1x:available",
    "ledger:mer_1:available",
]  # fmt: skip
MONEY = Path(__file__).parents[4] / "docs" / "money.md"
POSTING = re.compile(r"^\| ([a-z ]+) \| (\w+) \| (\w+) \| `(post|posted)` \|$", re.MULTILINE)

movements = st.lists(
    st.builds(
        Movement,
        debit=st.sampled_from(OURS + THEIRS),
        credit=st.sampled_from(OURS + THEIRS),
        is_late=st.booleans(),
        count=st.integers(1, 5),
        amount_minor=st.integers(1, 10**12),
    ).filter(lambda moved: moved.debit != moved.credit),
    max_size=30,
)
openings = st.dictionaries(st.sampled_from(ACCOUNTS), st.integers(-(10**12), 10**12))


@given(opening=openings, moved=movements)
def test_sections_net_and_accounts_add_up(opening: dict[str, int], moved: list[Movement]) -> None:
    figures = settle("mer_1", opening, moved)
    assert figures.opening_minor + sum(figures.sections.values()) == figures.closing_minor
    for account in ACCOUNTS:
        name = f"merchant:mer_1:{account}"
        came = sum(one.amount_minor for one in moved if one.credit == name)
        went = sum(one.amount_minor for one in moved if one.debit == name)
        assert figures.closing[account] == opening.get(account, 0) + came - went
    assert figures.line_count == sum(one.count for one in moved if {one.debit, one.credit} & set(OURS))


@given(moved=movements)
def test_each_movement_counts_in_one_section(moved: list[Movement]) -> None:
    """Whole and taken one by one, the sections are the same: none is in two, none in none."""
    alone: Counter[Section] = Counter()
    for one in moved:
        alone.update(settle("mer_1", {}, [one]).sections)
    whole = settle("mer_1", {}, moved).sections
    assert {name: sum_ for name, sum_ in alone.items() if sum_} == {
        name: sum_ for name, sum_ in whole.items() if sum_
    }


@given(opening=openings, first=movements, second=movements)
def test_two_batches_after_each_other_are_one(
    opening: dict[str, int], first: list[Movement], second: list[Movement]
) -> None:
    one = settle("mer_1", opening, first)
    two = settle("mer_1", one.closing, second)
    assert dict(two.closing) == dict(settle("mer_1", opening, first + second).closing)


def test_what_is_between_accounts_or_beside_the_balance_does_not_change_it() -> None:
    for debit in BALANCE:
        for credit in BALANCE:
            if debit != credit:
                ruling = rule_on(f"merchant:mer_1:{debit}", f"merchant:mer_1:{credit}", "mer_1")
                assert ruling
                assert (ruling.sign, ruling.section) == (0, Section.BETWEEN)


def test_another_merchants_movement_is_none_of_ours() -> None:
    assert rule_on("channel:c:receivable", "merchant:mer_1x:pending", "mer_1") is None
    assert rule_on("ledger:mer_1:cash", "ledger:mer_1:sales", "mer_1") is None


def test_a_movement_without_a_word_is_a_correction() -> None:
    ruling = rule_on("merchant:mer_1:available", "platform:something_new", "mer_1")
    assert ruling
    assert (ruling.kind, ruling.section, ruling.sign) == (OTHER, Section.CORRECTIONS, -1)


def test_every_posting_of_the_documentation_has_its_word() -> None:
    """docs/money.md, which the gateway holds to what it posts."""
    found = POSTING.findall(MONEY.read_text(encoding="utf-8"))
    assert len(found) > 20
    for event, *sides, _ in found:
        debit, credit = (
            f"merchant:mer_1:{kind}" if kind in ACCOUNTS else f"platform:{kind}" for kind in sides
        )
        ruling = rule_on(debit, credit, "mer_1")
        assert ruling is None or ruling.kind != OTHER, event


@pytest.mark.parametrize(
    ("state", "payouts", "after"),
    [
        (State.GENERATED, [], State.PAID),
        (State.GENERATED, ["paid", "failed"], State.PAID),
        (State.GENERATED, ["paid", "in_transit"], State.GENERATED),
        (State.GENERATED, ["pending"], State.GENERATED),
        (State.CLOSED, ["paid"], State.CLOSED),
        (State.RECONCILED, [], State.RECONCILED),
    ],
)
def test_a_batch_is_paid_when_no_payout_is_on_its_way(state: State, payouts: list[str], after: State) -> None:
    assert after_payouts(state, payouts) is after
