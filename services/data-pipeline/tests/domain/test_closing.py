"""Closing a break: who may do what when, what it books, and that four eyes are two people."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_rig import NOON

from data_pipeline.domain.ageing import BANDS, NAMES, OLDEST, age_band, days_of, days_open
from data_pipeline.domain.closing import (
    BOOKS,
    BY_PEOPLE,
    Act,
    Correction,
    MayNot,
    SamePerson,
    Sides,
    Standing,
    State,
    booked,
    booked_minor,
    corrections,
    decide,
    differences,
    needs_four_eyes,
    possible,
    refused,
)
from data_pipeline.domain.reconciliation import BreakClass
from data_pipeline.domain.settlement import SettlementType

CHARGE, REFUND = SettlementType.CHARGE, SettlementType.REFUND
MISSING = Sides(BreakClass.MISSING_IN_LEDGER, CHARGE, file_minor=1250, file_currency="EUR")


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        (MISSING, (Correction(True, 1250, "EUR"),)),
        (
            Sides(BreakClass.MISSING_IN_LEDGER, REFUND, file_minor=1250, file_currency="EUR"),
            (Correction(False, 1250, "EUR"),),
        ),
        (
            Sides(BreakClass.MISSING_IN_CHANNEL_FILE, CHARGE, ledger_minor=70, ledger_currency="JPY"),
            (Correction(False, 70, "JPY"),),
        ),
        (
            Sides(BreakClass.AMOUNT_DIFFERS, CHARGE, 1250, "EUR", 1300, "EUR"),
            (Correction(True, 50, "EUR"),),
        ),
        (
            Sides(BreakClass.CURRENCY_DIFFERS, CHARGE, 1250, "EUR", 1250, "USD"),
            (Correction(False, 1250, "EUR"), Correction(True, 1250, "USD")),
        ),
        (
            Sides(
                BreakClass.FEE_DIFFERS, CHARGE, 1250, "EUR", 1250, "EUR",
                expected_fee_minor=43, file_fee_minor=50,
            ),
            (Correction(False, 7, "EUR"),),
        ),
        (Sides(BreakClass.TIMING, CHARGE, ledger_minor=1250, ledger_currency="EUR"), ()),
    ],
)  # fmt: skip
def test_a_correction_makes_the_ledger_say_what_the_channel_says(
    sides: Sides, expected: tuple[Correction, ...]
) -> None:
    assert corrections(sides) == expected


@pytest.mark.parametrize(("currency", "limit_minor"), [("EUR", 100_000), ("JPY", 1_000), ("KWD", 1_000_000)])
def test_the_limit_counts_whole_units_of_each_currency(currency: str, limit_minor: int) -> None:
    at_limit = Sides(BreakClass.MISSING_IN_LEDGER, CHARGE, file_minor=limit_minor, file_currency=currency)
    assert not needs_four_eyes(at_limit, 1000)
    assert needs_four_eyes(replace(at_limit, file_minor=limit_minor + 1), 1000)


def test_above_the_limit_a_second_person_agrees() -> None:
    proposed = decide(Standing(), MISSING, Act.CORRECT, "ada", four_eyes_above=12)
    assert (proposed.state, proposed.decided_by) == (State.PROPOSED, "ada")
    with pytest.raises(SamePerson):
        decide(proposed, MISSING, Act.APPROVE, "ada", four_eyes_above=12)
    agreed = decide(proposed, MISSING, Act.APPROVE, "grace", four_eyes_above=12)
    done = replace(MISSING, booked_minor={"EUR": 1250})
    assert (agreed.state, booked(agreed, done).state) == (State.BOOKING, State.RESOLVED)
    assert decide(proposed, MISSING, Act.REJECT, "grace", four_eyes_above=12) == Standing()


def test_a_claim_moves_no_money_so_one_person_makes_it_and_it_stays_open() -> None:
    claimed = decide(Standing(), MISSING, Act.CLAIM, "ada", four_eyes_above=0)
    assert claimed.state is State.CLAIMED
    assert decide(claimed, MISSING, Act.ACCEPT, "ada", four_eyes_above=999).state is State.RESOLVED


FILES = st.sampled_from([None, 600, 1250, 250_000])


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.sampled_from(BY_PEOPLE), st.sampled_from(["ada", "Ada", "grace", "GRACE"])),
            FILES,
            st.sampled_from(["ledger takes it", "ledger refuses it"]),
        ),
        max_size=20,
    ),
    is_timing=st.booleans(),
    limit=st.sampled_from([0, 1000]),
)
def test_whatever_people_files_and_ledger_do_what_is_booked_was_agreed_on_and_comes_to_the_difference(
    steps: list[tuple[Act, str] | int | str | None], is_timing: bool, limit: int
) -> None:
    standing, proposer = Standing(), ""
    sides = replace(MISSING, break_class=BreakClass.TIMING) if is_timing else MISSING
    agreed: tuple[Correction, ...] = ()
    for step in steps:
        before = standing
        if step is None or isinstance(step, int):  # a run, which opens again what it finds changed
            changed = replace(sides, file_minor=step)
            if changed != sides and standing.state in (State.RESOLVED, State.PROPOSED):
                standing = replace(standing, state=State.OPEN, resolution=None, decided_by=None)
            sides = changed
        elif isinstance(step, str):
            if standing.state is not State.BOOKING:
                continue
            if step == "ledger takes it":
                total = Counter(sides.booked_minor)
                total.update(booked_minor(agreed))
                sides = replace(sides, booked_minor=dict(total))
                standing = booked(standing, sides)
            else:
                standing = refused(standing)
        else:
            act, actor = step
            try:
                standing = decide(standing, sides, act, actor, four_eyes_above=limit)
            except MayNot:
                continue
            if standing.state is State.PROPOSED and before.state is not State.PROPOSED:
                proposer = actor
            if standing.state is State.BOOKING and before.state is not State.BOOKING:
                agreed = corrections(sides)
                assert standing.resolution in BOOKS
                assert agreed
                assert not needs_four_eyes(sides, limit) or (
                    act is Act.APPROVE and actor.lower() != proposer.lower()
                )
            if before.state is State.RESOLVED:
                assert act in (Act.NOTE, Act.ASSIGN)
        assert (standing.state is State.OPEN) == (standing.resolution is None)
        if standing.state is State.RESOLVED and standing.resolution in BOOKS:
            assert {k: v for k, v in sides.booked_minor.items() if v} == differences(sides)


def test_what_is_not_found_any_more_takes_notes_alone() -> None:
    gone = Standing(is_found=False)
    assert decide(gone, MISSING, Act.NOTE, "ada", four_eyes_above=0) == gone
    with pytest.raises(MayNot):
        decide(gone, MISSING, Act.ACCEPT, "ada", four_eyes_above=10**6)


def test_currencies_that_agree_leave_no_difference() -> None:
    assert differences(Sides(BreakClass.AMOUNT_DIFFERS, CHARGE, 5, "EUR", 5, "EUR")) == {}


def test_bands_follow_whole_days() -> None:
    assert [age_band(days) for days in (0, 1, 2, 3, 4, 7, 8, 30, 31)] == [
        BANDS[0][1], BANDS[0][1], BANDS[1][1], BANDS[1][1], BANDS[2][1], BANDS[2][1], BANDS[3][1], BANDS[3][1],
        OLDEST,
    ]  # fmt: skip
    assert days_open(NOON, NOON + timedelta(days=2, hours=-1)) == 1
    assert days_open(NOON, NOON - timedelta(seconds=5)) == 0


@given(days=st.integers(0, 400))
def test_a_band_holds_the_days_that_it_names_and_no_others(days: int) -> None:
    for band in NAMES:
        first, last = days_of(band)
        assert (first <= days and (last is None or days <= last)) == (age_band(days) == band)


def test_what_is_offered_is_what_is_taken() -> None:
    """A person is shown no act that `decide` would refuse, and every one that it would take."""
    large = replace(MISSING, file_minor=200_000)
    proposed = decide(Standing(), large, Act.CORRECT, "ada", four_eyes_above=1000)
    reasons = (Act.ACCEPT, Act.WRITE_OFF, Act.CLAIM, Act.CORRECT)
    assert possible(Standing(), MISSING, "ada", four_eyes_above=1000) == reasons
    assert possible(proposed, large, "ada", four_eyes_above=1000) == (Act.REJECT,)
    assert possible(proposed, large, "grace", four_eyes_above=1000) == (Act.APPROVE, Act.REJECT)
    assert possible(Standing(state=State.RESOLVED), MISSING, "ada", four_eyes_above=1000) == ()
    timing = Sides(BreakClass.TIMING, CHARGE, ledger_minor=1, ledger_currency="EUR")
    assert possible(Standing(), timing, "ada", four_eyes_above=1000) == (Act.ACCEPT, Act.CLAIM)
