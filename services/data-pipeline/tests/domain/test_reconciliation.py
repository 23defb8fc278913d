"""Reconciliation: every line of the day ends in exactly one place, whatever the two sides hold."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_rig import NOON, TODAY, a_line

from data_pipeline.domain import matching
from data_pipeline.domain.matching import FileLine, LedgerLine, MatchRule, pair_lines
from data_pipeline.domain.reconciliation import (
    CLOCK_SKEW,
    EDGE,
    EDGE_GRACE,
    BreakClass,
    Exclusion,
    Reconciliation,
    reconcile,
)
from data_pipeline.domain.settlement import SettlementLine, SettlementType
from data_pipeline.domain.totals import day_totals

MIDNIGHT = datetime.combine(TODAY, time(), UTC)
TOMORROW = TODAY + timedelta(days=1)
LATER = MIDNIGHT + timedelta(days=3)  # both neighbours' files have come


def booked(number: int = 1, **changes: Any) -> LedgerLine:
    """What the ledger booked for the sale with this number."""
    values: dict[str, Any] = {
        "journal_id": f"je_{number}",
        "channel_reference": f"ch_capture_{number}",
        "channel_key": f"att_capture_{number:020d}",
        "type": SettlementType.CHARGE,
        "amount_minor": 1250,
        "currency": "EUR",
        "occurred_at": NOON,
    }
    return LedgerLine(**values | changes)


def filed(*lines: SettlementLine) -> list[FileLine]:
    return [FileLine(number, line) for number, line in enumerate(lines, start=2)]


def judge(
    ledger: list[LedgerLine], file: list[FileLine], *, file_made_at: datetime = LATER
) -> Reconciliation:
    return reconcile(TODAY, "card_sim", ledger, file, file_made_at=file_made_at)


def classes(outcome: Reconciliation) -> list[BreakClass]:
    return sorted(broken.break_class for broken in outcome.breaks)


# Few references, keys, amounts and times, so that they meet often.
LEDGER = st.lists(
    st.builds(
        LedgerLine,
        journal_id=st.sampled_from(["je_1", "je_2", "je_3", "je_4"]),
        channel_reference=st.sampled_from([None, "r1", "r2"]),
        channel_key=st.sampled_from([None, "k1", "k2", "k3"]),
        type=st.sampled_from(SettlementType),
        amount_minor=st.sampled_from([100, 200]),
        currency=st.sampled_from(["EUR", "USD"]),
        occurred_at=st.sampled_from(
            [MIDNIGHT - timedelta(minutes=1), MIDNIGHT, NOON, MIDNIGHT + timedelta(hours=23, minutes=59)]
        ),
    ),
    max_size=8,
)
FILE = st.lists(
    st.builds(
        SettlementLine,
        channel=st.just("card_sim"),
        channel_reference=st.sampled_from(["r1", "r2", "r3"]),
        channel_key=st.sampled_from(["k1", "k2", "k3"]),
        type=st.sampled_from(SettlementType),
        amount_minor=st.sampled_from([100, 200]),
        currency=st.sampled_from(["EUR", "USD"]),
        fee_minor=st.just(1),
        settled_on=st.sampled_from([TODAY - timedelta(days=1), TODAY, TODAY, TODAY, TOMORROW]),
    ),
    max_size=8,
)


@given(LEDGER, FILE)
def test_every_line_of_the_day_ends_in_exactly_one_place(
    ledger: list[LedgerLine], lines: list[SettlementLine]
) -> None:
    file = filed(*lines)
    outcome = judge(ledger, file)

    file_ends = [pair.file.number for pair in outcome.matches]
    file_ends += [broken.file.number for broken in outcome.breaks if broken.file]
    assert sorted(file_ends) == [line.number for line in file if line.line.settled_on == TODAY]

    ledger_ends = [pair.ledger for pair in outcome.matches]
    ledger_ends += [broken.ledger for broken in outcome.breaks if broken.ledger]
    ledger_ends += [left.ledger for left in outcome.excluded]
    of_day = Counter(line for line in ledger if line.occurred_at.date() == TODAY)
    ended = Counter(ledger_ends)
    assert all(ended[line] == count for line, count in of_day.items())
    # Lines of other days only stand in pairs that this day's file owns.
    assert not any(left.ledger.occurred_at.date() != TODAY for left in outcome.excluded)


@given(LEDGER, FILE)
def test_a_match_agrees_in_type_amount_and_currency(
    ledger: list[LedgerLine], lines: list[SettlementLine]
) -> None:
    for pair in judge(ledger, filed(*lines)).matches:
        theirs = pair.file.line
        assert (pair.ledger.type, pair.ledger.amount_minor, pair.ledger.currency) == (
            theirs.type,
            theirs.amount_minor,
            theirs.currency,
        )


@given(LEDGER, FILE, st.randoms(use_true_random=False))
def test_the_outcome_does_not_depend_on_the_order_of_the_lines(
    ledger: list[LedgerLine], lines: list[SettlementLine], dice: random.Random
) -> None:
    file = filed(*lines)
    shuffled_ledger, shuffled_file = ledger.copy(), file.copy()
    dice.shuffle(shuffled_ledger)
    dice.shuffle(shuffled_file)

    again = judge(shuffled_ledger, shuffled_file)
    assert {broken.id for broken in judge(ledger, file).breaks} == {broken.id for broken in again.breaks}


@given(LEDGER, FILE)
def test_break_ids_are_told_apart(ledger: list[LedgerLine], lines: list[SettlementLine]) -> None:
    breaks = judge(ledger, filed(*lines)).breaks
    assert len({broken.id for broken in breaks}) == len(breaks)


@given(st.integers(0, 30))
@settings(max_examples=10)
def test_two_sides_that_agree_have_no_break(count: int) -> None:
    outcome = judge([booked(n) for n in range(count)], filed(*(a_line(n) for n in range(count))))
    assert len(outcome.matches) == count
    assert not outcome.breaks
    assert not outcome.excluded
    assert {pair.rule for pair in outcome.matches} <= {MatchRule.REFERENCE_AND_KEY}


@pytest.mark.parametrize(
    ("ledger", "lines", "expected"),
    [
        ([booked(1)], [], BreakClass.MISSING_IN_CHANNEL_FILE),
        ([], [a_line(1)], BreakClass.MISSING_IN_LEDGER),
        ([booked(1)], [a_line(1, amount_minor=1251)], BreakClass.AMOUNT_DIFFERS),
        ([booked(1)], [a_line(1, currency="USD")], BreakClass.CURRENCY_DIFFERS),
        ([booked(1)], [a_line(1), a_line(1)], BreakClass.DUPLICATE_IN_FILE),
        ([booked(1)], [a_line(1), a_line(1, amount_minor=99)], BreakClass.DUPLICATE_IN_FILE),
        ([booked(1), booked(1, journal_id="je_9")], [a_line(1)], BreakClass.DUPLICATE_IN_LEDGER),
    ],
)
def test_each_class_is_found(
    ledger: list[LedgerLine], lines: list[SettlementLine], expected: BreakClass
) -> None:
    assert classes(judge(ledger, filed(*lines))) == [expected]


def test_a_charge_and_a_refund_of_one_reference_do_not_pair() -> None:
    outcome = judge([booked(1)], filed(a_line(1, type=SettlementType.REFUND)))
    assert classes(outcome) == [BreakClass.MISSING_IN_CHANNEL_FILE, BreakClass.MISSING_IN_LEDGER]


def test_a_doubled_line_with_another_amount_does_not_take_the_place_of_the_right_one() -> None:
    outcome = judge([booked(1)], filed(a_line(1, amount_minor=99), a_line(1)))
    assert [pair.file.line.amount_minor for pair in outcome.matches] == [1250]


def test_without_our_reference_the_key_makes_the_pair() -> None:
    """After a timeout we never learned the channel's reference; the key is ours."""
    outcome = judge([booked(1, channel_reference=None)], filed(a_line(1)))
    assert [pair.rule for pair in outcome.matches] == [MatchRule.KEY]


def test_without_a_key_the_reference_makes_the_pair_also_when_amounts_differ() -> None:
    agreeing = judge([booked(1, channel_key=None)], filed(a_line(1)))
    differing = judge([booked(1, channel_key=None)], filed(a_line(1, amount_minor=1)))
    assert [pair.rule for pair in agreeing.matches] == [MatchRule.REFERENCE]
    assert classes(differing) == [BreakClass.AMOUNT_DIFFERS]


def test_two_partial_captures_of_one_charge_are_two_operations() -> None:
    ours = [booked(1, channel_key="a", amount_minor=600), booked(1, channel_key="b", amount_minor=400)]
    theirs = filed(a_line(1, channel_key="a", amount_minor=600), a_line(1, channel_key="c", amount_minor=300))
    outcome = judge(ours, theirs)
    assert len(outcome.matches) == 1
    assert classes(outcome) == [BreakClass.MISSING_IN_CHANNEL_FILE, BreakClass.MISSING_IN_LEDGER]


def test_a_ledger_line_without_key_is_never_called_a_duplicate() -> None:
    ours = [booked(1, channel_key=None), booked(1, channel_key=None, journal_id="je_9")]
    assert classes(judge(ours, filed(a_line(1)))) == [BreakClass.MISSING_IN_CHANNEL_FILE]


def test_a_charge_before_midnight_that_the_channel_settled_after_it_belongs_to_the_files_day() -> None:
    ledger = [booked(1, occurred_at=MIDNIGHT + timedelta(days=1, seconds=-1))]
    file = filed(a_line(1, settled_on=TOMORROW))

    ours = judge(ledger, file)
    assert [left.reason for left in ours.excluded] == [Exclusion.OTHER_PERIOD]
    assert not ours.matches
    assert not ours.breaks

    theirs = reconcile(TOMORROW, "card_sim", ledger, file, file_made_at=LATER)
    assert len(theirs.matches) == 1
    assert not theirs.breaks
    assert not theirs.excluded


@pytest.mark.parametrize(
    ("occurred_at", "file_made_at", "expected"),
    [
        (MIDNIGHT + EDGE, MIDNIGHT + timedelta(hours=12), BreakClass.TIMING),
        (MIDNIGHT + timedelta(days=1) - EDGE, MIDNIGHT + timedelta(days=1, hours=1), BreakClass.TIMING),
        (MIDNIGHT + EDGE + timedelta(seconds=1), LATER, BreakClass.MISSING_IN_CHANNEL_FILE),
        (MIDNIGHT, MIDNIGHT + EDGE_GRACE, BreakClass.MISSING_IN_CHANNEL_FILE),
        (NOON, NOON + CLOCK_SKEW, BreakClass.MISSING_IN_CHANNEL_FILE),
        (NOON, NOON + CLOCK_SKEW - timedelta(microseconds=1), BreakClass.TIMING),
    ],
)
def test_a_missing_line_near_the_edge_of_the_file_is_a_matter_of_timing_until_the_next_file_has_come(
    occurred_at: datetime, file_made_at: datetime, expected: BreakClass
) -> None:
    outcome = judge([booked(1, occurred_at=occurred_at)], [], file_made_at=file_made_at)
    assert classes(outcome) == [expected]


def test_what_was_booked_after_the_file_was_made_is_not_judged() -> None:
    outcome = judge([booked(1, occurred_at=NOON)], [], file_made_at=NOON)
    assert [left.reason for left in outcome.excluded] == [Exclusion.AFTER_CUTOFF]
    assert outcome.breaks == ()


def test_a_rerun_gives_the_same_break_ids_and_another_day_gives_others() -> None:
    ledger, file = [booked(1)], filed(a_line(2))
    first, again = judge(ledger, file), judge(ledger, file)
    assert {broken.id for broken in first.breaks} == {broken.id for broken in again.breaks}
    other = reconcile(TODAY, "wallet_sim", ledger, file, file_made_at=LATER)
    assert not {broken.id for broken in first.breaks} & {broken.id for broken in other.breaks}
    assert all(len(broken.id) == 30 for broken in first.breaks)


def test_an_id_stays_when_the_file_grows_by_other_lines() -> None:
    small = judge([booked(1)], filed(a_line(1, amount_minor=1)))
    grown = judge([booked(1), booked(2)], filed(a_line(2), a_line(1, amount_minor=1)))
    assert [broken.id for broken in small.breaks] == [broken.id for broken in grown.breaks]


def test_pairing_leaves_over_what_it_cannot_pair() -> None:
    pairing = pair_lines([booked(1), booked(2)], filed(a_line(2), a_line(3)))
    assert [line.journal_id for line in pairing.ledger_left] == ["je_1"]
    assert [line.line.channel_reference for line in pairing.file_left] == ["ch_capture_3"]


def test_totals_keep_types_and_currencies_apart_and_sides_side_by_side() -> None:
    ledger = [booked(1), booked(2, amount_minor=750), booked(3, type=SettlementType.REFUND, amount_minor=500)]
    lines = [a_line(1), a_line(2, amount_minor=700), a_line(3, currency="JPY", fee_minor=0)]
    totals = [
        (t.type.value, t.currency, t.ledger_count, t.ledger_minor, t.file_count, t.file_minor, t.fee_minor)
        for t in day_totals(ledger, lines)
    ]
    assert totals == [
        ("charge", "EUR", 2, 2000, 2, 1950, 86),
        ("charge", "JPY", 0, 0, 1, 1250, 0),
        ("refund", "EUR", 1, 500, 0, 0, 0),
    ]


@given(LEDGER, FILE)
def test_the_short_way_pairs_what_the_steps_alone_would_pair(
    ledger: list[LedgerLine], lines: list[SettlementLine]
) -> None:
    file = filed(*lines)

    def in_steps() -> tuple[set[object], list[LedgerLine], list[FileLine]]:
        pairs: list[matching.Pair] = []
        ours, theirs = list(ledger), list(file)
        for step in matching._STEPS:
            ours, theirs = matching._pair(pairs, step, ours, theirs)
        return set(pairs), sorted(ours, key=matching.ledger_order), sorted(theirs, key=matching.file_order)

    found = pair_lines(ledger, file)
    assert (set(found.pairs), list(found.ledger_left), list(found.file_left)) == in_steps()
