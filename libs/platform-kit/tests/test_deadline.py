"""A deadline shrinks and crosses the wire as a duration."""

from __future__ import annotations

import pytest

from platform_kit.deadline import Deadline


def test_it_shrinks_with_the_clock_and_never_below_zero() -> None:
    now = [100.0]
    deadline = Deadline.after(2.5, lambda: now[0])
    assert deadline.remaining() == 2.5
    assert deadline.header() == "2500"
    assert deadline.sooner(1) == 1
    now[0] = 102.0
    assert deadline.sooner(1) == 0.5
    assert not deadline.expired
    now[0] = 103.0
    assert deadline.remaining() == 0
    assert deadline.expired


@pytest.mark.parametrize("value", ["", "-1", "1.5", "1e3", "nan", "٣", "9" * 10, None])
def test_nonsense_from_a_caller_is_no_deadline(value: str | None) -> None:
    assert Deadline.from_header(value) is None


def test_a_caller_can_not_ask_for_more_than_ten_minutes() -> None:
    deadline = Deadline.from_header("999999999", lambda: 0.0)
    assert deadline is not None
    assert deadline.remaining() == 600
