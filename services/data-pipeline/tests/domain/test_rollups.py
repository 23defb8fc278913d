"""Roll-ups: the sum of all differences is the detail, whatever happened on the way."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import astuple, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_rig import NOON, an_event

from data_pipeline.domain.event_facts import facts_of
from data_pipeline.domain.facts import Facts, PaymentFact, supersede
from data_pipeline.domain.figures import approval_rate, blocked_share, every_minute, total
from data_pipeline.domain.rollups import (
    LATENCY_BOUNDS_MS,
    BucketKey,
    Grain,
    Measures,
    bucket_start,
    changes,
    contribution,
    latency_bound_ms,
    latency_changes,
    percentile_ms,
)


def a_fact(position: int = 1) -> PaymentFact:
    facts = facts_of(an_event(position).envelope())
    assert isinstance(facts, Facts)
    assert facts.payment is not None
    return facts.payment


TOLD = st.lists(
    st.builds(
        lambda number, position, status, decision, captured, minute: replace(
            a_fact(),
            payment_id=f"pay_{number}",
            position=position,
            status=status,
            decision=decision,
            captured_minor=captured,
            approved_at=NOON if status == "captured" else None,
            decided_at=NOON + timedelta(milliseconds=position) if status != "processing" else None,
            created_at=NOON - timedelta(minutes=minute),
        ),
        st.integers(1, 3),
        st.integers(1, 9),
        st.sampled_from(["processing", "captured", "declined"]),
        st.sampled_from([None, "allow", "block"]),
        st.sampled_from([0, 1250]),
        st.integers(0, 2),
    ),
    max_size=12,
)


def added(one: Measures, other: Measures) -> Measures:
    return Measures(*map(sum, zip(astuple(one), astuple(other), strict=True)))


@given(TOLD, st.integers(1, 4))
def test_the_sum_of_differences_is_the_contribution_of_the_detail(told: list[PaymentFact], size: int) -> None:
    now: dict[str, PaymentFact] = {}
    kept: defaultdict[BucketKey, Measures] = defaultdict(Measures)
    latencies: defaultdict[tuple[datetime, int], int] = defaultdict(int)
    for start in range(0, len(told), size):
        before = dict(now)
        for payment in told[start : start + size]:
            now[payment.payment_id] = supersede(now.get(payment.payment_id), payment)
        pairs = [(before.get(key), payment) for key, payment in now.items()]
        for key, measures in changes(pairs).items():
            kept[key] = added(kept[key], measures)
        for at, count in latency_changes(pairs).items():
            latencies[at] += count

    detail: defaultdict[BucketKey, Measures] = defaultdict(Measures)
    for payment in now.values():
        for key, measures in contribution(payment).items():
            detail[key] = added(detail[key], measures)
    assert {key: m for key, m in kept.items() if m != Measures()} == dict(detail)
    assert sum(latencies.values()) == sum(payment.decided_at is not None for payment in now.values())
    assert all(count >= 0 for count in latencies.values())


@given(TOLD)
def test_what_does_not_change_moves_nothing(told: list[PaymentFact]) -> None:
    assert changes((payment, payment) for payment in told) == {}
    assert latency_changes((payment, payment) for payment in told) == {}


def test_a_payment_counts_once_in_its_minute_its_hour_and_its_day() -> None:
    keys = {
        key.grain: (key.bucket_at, measures.payment_count) for key, measures in contribution(a_fact()).items()
    }
    assert keys == {
        Grain.MINUTE: (datetime(2026, 11, 23, 11, 59, tzinfo=UTC), 1),
        Grain.HOUR: (datetime(2026, 11, 23, 11, tzinfo=UTC), 1),
        Grain.DAY: (datetime(2026, 11, 23, tzinfo=UTC), 1),
    }


def test_a_payment_without_channel_or_decision_has_a_row_of_its_own() -> None:
    [key, *_] = contribution(replace(a_fact(), channel=None, decision=None))
    assert (key.channel, key.decision) == ("none", "none")


def test_buckets_start_at_utc_days_whatever_zone_a_time_is_written_in() -> None:
    east = datetime(2026, 11, 24, 1, 30, tzinfo=timezone(timedelta(hours=5)))
    assert bucket_start(east, Grain.DAY) == datetime(2026, 11, 23, tzinfo=UTC)
    assert bucket_start(east, Grain.MINUTE) == datetime(2026, 11, 23, 20, 30, tzinfo=UTC)


@given(st.integers(-1000, 10**9))
def test_a_latency_lies_under_its_bound_and_above_the_one_before(taken_ms: int) -> None:
    bound = latency_bound_ms(timedelta(milliseconds=taken_ms))
    index = LATENCY_BOUNDS_MS.index(bound)
    assert taken_ms <= bound or bound == LATENCY_BOUNDS_MS[-1]
    assert index == 0 or taken_ms > LATENCY_BOUNDS_MS[index - 1]


def test_bounds_reach_from_milliseconds_to_minutes_in_steps_of_a_quarter() -> None:
    assert LATENCY_BOUNDS_MS[0] == 4
    assert LATENCY_BOUNDS_MS[-1] > 600_000
    assert all(b <= a * 1.26 + 1 for a, b in pairwise(LATENCY_BOUNDS_MS))


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ({}, 0.95, None),
        ({10: 0}, 0.95, None),
        ({10: 1}, 0.95, 10),
        ({10: 95, 20: 5}, 0.95, 10),
        ({10: 94, 20: 6}, 0.95, 20),
        ({20: 6, 10: 94}, 0.5, 10),
        ({10: 1, 20: 1}, 1.0, 20),
        ({10: 1}, 2.0, None),
    ],
)
def test_a_percentile_is_the_bound_under_which_that_share_lies(
    counts: dict[int, int], share: float, expected: int | None
) -> None:
    assert percentile_ms(counts, share) == expected


ROWS = [
    {"decision": "allow", "payment_count": 10, "approved_count": 8, "declined_count": 1},
    {"decision": "block", "payment_count": 2, "approved_count": 0, "declined_count": 2},
]


def test_the_approval_rate_leaves_out_what_no_channel_decided() -> None:
    assert approval_rate(ROWS) == 8 / 9
    assert approval_rate([]) is None
    assert approval_rate(ROWS[1:]) is None


def test_the_blocked_share_is_of_all_payments() -> None:
    assert blocked_share(ROWS) == 2 / 12
    assert blocked_share([]) is None
    assert total(ROWS, "payment_count") == 12


def test_the_chart_has_every_minute_also_those_without_payments() -> None:
    at = NOON - timedelta(minutes=1)
    minutes = every_minute(
        [{"bucket_at": at, "payment_count": 3, "approved_count": 2, "declined_count": 1}],
        NOON + timedelta(seconds=30),
        3,
    )
    assert [row["bucket_at"] for row in minutes] == [NOON - timedelta(minutes=2), at, NOON]
    assert [row["payment_count"] for row in minutes] == [0, 3, 0]
