"""The breaker's states, with a clock that moves when told."""

from __future__ import annotations

from platform_kit.breaker import Breaker, Permit, State


class Hand:
    """A clock."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def __call__(self) -> float:
        return self.at_s


def a_breaker(clock: Hand) -> Breaker:
    return Breaker("peer", window=10, calls_min=4, failure_ratio=0.5, open_s=5, now=clock)


def state(breaker: Breaker) -> State:
    """A call, so that a type checker does not believe that it stays as it was."""
    return breaker.state


def taken(breaker: Breaker) -> Permit:
    permit = breaker.acquire()
    assert permit is not None
    return permit


def call(breaker: Breaker, *, ok: bool) -> None:
    breaker.record(taken(breaker), ok=ok)


def test_it_stays_closed_below_the_ratio_and_below_the_least_number_of_calls() -> None:
    breaker = a_breaker(Hand())
    for _ in range(3):
        call(breaker, ok=False)
    assert state(breaker) is State.CLOSED
    healthy = a_breaker(Hand())
    for number in range(40):
        call(healthy, ok=number % 3 != 2)
    assert state(healthy) is State.CLOSED


def test_it_opens_at_the_ratio_and_lets_nothing_through() -> None:
    breaker = a_breaker(Hand())
    for ok in (True, True, False, False):
        call(breaker, ok=ok)
    assert state(breaker) is State.OPEN
    assert breaker.acquire() is None


def test_old_outcomes_leave_the_window() -> None:
    breaker = a_breaker(Hand())
    for ok in (True,) * 6 + (False,) * 4:
        call(breaker, ok=ok)
    assert state(breaker) is State.CLOSED
    call(breaker, ok=False)
    assert state(breaker) is State.OPEN


def opened(clock: Hand) -> Breaker:
    breaker = a_breaker(clock)
    for _ in range(4):
        call(breaker, ok=False)
    return breaker


def test_after_its_time_it_lets_one_probe_through_and_no_second() -> None:
    clock = Hand()
    breaker = opened(clock)
    clock.at_s = 4.999
    assert breaker.acquire() is None
    clock.at_s = 5.0
    assert state(breaker) is State.HALF_OPEN
    assert taken(breaker).is_probe
    assert breaker.acquire() is None


def test_a_good_probe_closes_and_a_bad_one_opens_for_the_whole_time_again() -> None:
    clock = Hand()
    breaker = opened(clock)
    clock.at_s = 5.0
    breaker.record(taken(breaker), ok=False)
    assert state(breaker) is State.OPEN
    clock.at_s = 9.9
    assert breaker.acquire() is None
    clock.at_s = 10.0
    breaker.record(taken(breaker), ok=True)
    assert state(breaker) is State.CLOSED
    call(breaker, ok=False)
    assert state(breaker) is State.CLOSED, "old failures still count"


def test_a_probe_whose_caller_went_away_frees_the_place() -> None:
    clock = Hand()
    breaker = opened(clock)
    clock.at_s = 5.0
    breaker.record(taken(breaker), ok=None)
    assert taken(breaker).is_probe


def test_an_outcome_from_before_the_outage_says_nothing_about_now() -> None:
    clock = Hand()
    breaker = a_breaker(clock)
    late_success = taken(breaker)
    late_failures = [taken(breaker) for _ in range(4)]
    for _ in range(4):
        call(breaker, ok=False)
    breaker.record(late_success, ok=True)
    assert state(breaker) is State.OPEN
    clock.at_s = 5.0
    breaker.record(taken(breaker), ok=True)
    for permit in late_failures:
        breaker.record(permit, ok=False)
    assert state(breaker) is State.CLOSED


def test_while_a_probe_is_under_way_no_other_call_would_be_permitted() -> None:
    now = [0.0]
    breaker = Breaker("probed", calls_min=1, open_s=5, now=lambda: now[0])
    permit = breaker.acquire()
    assert permit is not None
    breaker.record(permit, ok=False)
    assert not breaker.would_permit
    now[0] = 6
    assert breaker.would_permit
    assert breaker.acquire() is not None
    assert not breaker.would_permit
