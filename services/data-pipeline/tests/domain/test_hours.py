"""The last hour against the same of last week: figures, gaps, and lines that are drawn of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from data_pipeline.api.console.chart import spark_lines
from data_pipeline.domain.hours import (
    SLOT,
    SLOTS,
    approval,
    blocked,
    by_channel,
    compare,
    last_hour,
    p95_ms,
    volume,
)

SINCE = datetime(2026, 11, 23, 11, 1, tzinfo=UTC)


def a_row(
    slot: int = 0, count: int = 10, approved: int = 8, declined: int = 2, **more: Any
) -> dict[str, Any]:
    row = {"slot": SINCE + slot * SLOT, "channel": "card_sim", "decision": "allow", "payment_count": count}
    return row | {"approved_count": approved, "declined_count": declined} | more


def test_the_last_hour_is_sixty_minutes_of_which_none_runs() -> None:
    since, until = last_hour(datetime(2026, 11, 23, 12, 1, 30, tzinfo=UTC))
    assert (since, until) == (SINCE, datetime(2026, 11, 23, 12, 1, tzinfo=UTC))


def test_a_slot_without_payments_is_a_gap_and_not_a_zero() -> None:
    found = compare([a_row(0), a_row(2, count=5)], [a_row(0, count=12)], SINCE, volume)
    assert found.slots == (10, None, 5, *[None] * (SLOTS - 3))
    assert (found.now, found.week_ago, found.change) == (15, 12, 0.25)


@pytest.mark.parametrize("week_ago", [[], [a_row(count=0)]])
def test_with_nothing_last_week_there_is_no_change(week_ago: list[dict[str, Any]]) -> None:
    assert compare([a_row()], week_ago, SINCE, volume).change is None
    assert compare([], [a_row()], SINCE, volume).change is None


def test_shares_are_compared_in_points() -> None:
    stopped = a_row(count=2, approved=0, declined=2, decision="block")
    now, then = [a_row(), stopped], [a_row(approved=9, declined=1), a_row(count=6, decision="block")]
    rate = compare(now, then, SINCE, approval)
    assert rate.now == 0.8
    assert rate.difference == pytest.approx(-0.1)
    share = compare(now, then, SINCE, blocked)
    assert share.now == 2 / 12
    assert share.week_ago == 6 / 16


def test_p95_is_the_bound_under_which_nineteen_of_twenty_lie() -> None:
    rows = [
        {"slot": SINCE, "bound_ms": bound, "payment_count": count} for bound, count in ((40, 95), (90, 5))
    ]
    found = compare(rows, [], SINCE, p95_ms)
    assert (found.now, found.week_ago, found.slots[:2]) == (40, None, (40, None))


def test_channels_come_busiest_first_and_an_idle_one_is_named() -> None:
    rows = [a_row(), a_row(count=30, channel="wallet_sim")]
    found = by_channel(rows, [a_row(count=20)], SINCE, ("card_sim", "bank_sim"))
    assert [one.name for one in found] == ["wallet_sim", "card_sim", "bank_sim"]
    assert found[1].volume.change == -0.5
    assert found[2].volume.now is None


def test_a_line_is_broken_at_a_gap_and_one_point_is_a_dot() -> None:
    assert spark_lines([1, 2, None, 2]) == ["0.0,14.0 33.3,2.0", "100.0,2.0 100.0,2.0"]
    assert spark_lines([None, None]) == []
    assert spark_lines([0, 0]) == ["0.0,26.0 100.0,26.0"]
