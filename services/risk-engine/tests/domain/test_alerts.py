"""The life of an alert, move by move."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from risk_rig import NOON

from risk_engine.domain.alert_kinds import KINDS, Severity
from risk_engine.domain.alerts import (
    Escalate,
    Raise,
    Reopen,
    Resolve,
    SeenAgain,
    Signal,
    Status,
    Tracked,
    changes_of,
)
from risk_engine.domain.escalation import ESCALATION, LEVEL_MAX, level_at

MINUTE = timedelta(minutes=1)
SPIKE = Signal("block_share", "20 % of payments are blocked.")
KIND = KINDS["block_share"]
WATCHED = frozenset(KINDS)


def an_alert(**changes: Any) -> Tracked:
    """A firing one that was seen a minute ago."""
    alert = Tracked(
        "alr_1", "block_share", "", Severity.WARNING, Status.FIRING, 0, NOON - MINUTE, NOON - MINUTE
    )
    return replace(alert, **changes)


def resolved(at: datetime, *, by_hand: bool = False) -> Tracked:
    return an_alert(status=Status.RESOLVED, resolved_at=at, is_resolved_by_hand=by_hand)


def test_a_condition_that_nobody_knows_raises_an_alert() -> None:
    assert changes_of([SPIKE], WATCHED, [], NOON) == [Raise(SPIKE)]


@pytest.mark.parametrize("status", [Status.FIRING, Status.ACKNOWLEDGED])
def test_a_condition_that_goes_on_is_the_same_alert(status: Status) -> None:
    alert = an_alert(status=status)
    assert changes_of([SPIKE], WATCHED, [alert], NOON) == [SeenAgain(alert, SPIKE)]


def test_another_scope_is_another_alert() -> None:
    one, other = Signal("card_testing", "", scope="mer_1"), Signal("card_testing", "", scope="mer_2")
    tracked = an_alert(kind="card_testing", scope="mer_1")
    assert changes_of([one, other], WATCHED, [tracked], NOON) == [SeenAgain(tracked, one), Raise(other)]


def test_an_alert_resolves_when_its_condition_has_been_away_for_long_enough() -> None:
    alert = an_alert(last_seen_at=NOON)
    assert changes_of([], WATCHED, [alert], NOON + KIND.quiet - MINUTE) == []
    assert changes_of([], WATCHED, [alert], NOON + KIND.quiet) == [Resolve(alert)]
    acknowledged = replace(alert, status=Status.ACKNOWLEDGED)
    assert changes_of([], WATCHED, [acknowledged], NOON + KIND.quiet) == [Resolve(acknowledged)]


def test_a_detector_that_did_not_run_resolves_nothing() -> None:
    alert = an_alert(last_seen_at=NOON - timedelta(minutes=30))
    assert changes_of([], WATCHED - {"block_share"}, [alert], NOON) == []


def test_a_condition_that_comes_back_at_once_reopens_its_alert_and_later_makes_a_new_one() -> None:
    alert = resolved(NOON)
    assert changes_of([SPIKE], WATCHED, [alert], NOON + MINUTE) == [Reopen(alert, SPIKE)]
    assert changes_of([SPIKE], WATCHED, [alert], NOON + KIND.cooldown) == [Raise(SPIKE)]


def test_who_resolves_an_alert_has_its_cooldown_in_peace() -> None:
    alert = resolved(NOON, by_hand=True)
    assert changes_of([SPIKE], WATCHED, [alert], NOON + KIND.cooldown - MINUTE) == []
    assert changes_of([SPIKE], WATCHED, [alert], NOON + KIND.cooldown) == [Raise(SPIKE)]


def test_an_alert_that_nobody_acknowledges_escalates_level_by_level() -> None:
    first, second = ESCALATION[Severity.WARNING]
    alert = an_alert(firing_since=NOON)
    seen = SeenAgain(alert, SPIKE)
    assert changes_of([SPIKE], WATCHED, [alert], NOON + first - MINUTE) == [seen]
    assert changes_of([SPIKE], WATCHED, [alert], NOON + first) == [seen, Escalate(alert, 1)]
    higher = replace(alert, level=1)
    assert changes_of([SPIKE], WATCHED, [higher], NOON + second) == [
        SeenAgain(higher, SPIKE),
        Escalate(higher, 2),
    ]


def test_an_acknowledged_alert_does_not_escalate() -> None:
    alert = an_alert(status=Status.ACKNOWLEDGED, firing_since=NOON - timedelta(days=1))
    assert changes_of([SPIKE], WATCHED, [alert], NOON) == [SeenAgain(alert, SPIKE)]


def test_the_table_of_escalation_is_in_order_and_reaches_no_level_that_no_channel_may_have() -> None:
    for severity, times in ESCALATION.items():
        assert list(times) == sorted(set(times))
        assert level_at(severity, timedelta(days=30)) == len(times) <= LEVEL_MAX
        assert level_at(severity, timedelta(0)) == 0
