"""Card testing, missing parts, clocks and the budget of late decisions: where the line is, from both sides."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from risk_engine.domain.alert_kinds import KINDS
from risk_engine.domain.burn_rate import BURNS, find_burns
from risk_engine.domain.card_testing import MerchantCards, find_card_testing
from risk_engine.domain.decision_mix import Counts
from risk_engine.domain.failure_policy import Fault
from risk_engine.domain.part_faults import PART_KINDS, find_missing_parts, find_skew

TESTED = MerchantCards("mer_1", attempts=40, cards=30, devices=1, ips=6, small=40, failed=30)


def test_many_cards_from_one_device_for_small_amounts_that_fail_are_card_testing() -> None:
    (signal,) = find_card_testing([TESTED])
    assert (signal.kind, signal.scope, signal.share, signal.decisions) == ("card_testing", "mer_1", 0.75, 40)


@pytest.mark.parametrize(
    "changes",
    [
        {"cards": 19},  # few cards
        {"attempts": 61, "small": 61, "failed": 50},  # cards used again and again: subscribers
        {"devices": 7, "ips": 20},  # a crowd: a sale of cheap tickets
        {"small": 31},  # ordinary amounts
        {"failed": 19},  # most are good
        {"devices": 0, "ips": 0},  # no sources known: three of four failures are not enough
    ],
)
def test_what_lacks_one_of_the_marks_is_none(changes: dict[str, Any]) -> None:
    assert find_card_testing([replace(TESTED, **changes)]) == []


def test_without_devices_and_addresses_nearly_all_must_fail() -> None:
    assert find_card_testing([replace(TESTED, devices=0, ips=0, failed=32)]) != []


def burns(**shares: float) -> list[str]:
    """Kinds at these shares of bad decisions in windows of so many minutes, of 10,000 decisions each."""
    counts = {
        timedelta(minutes=int(name[1:])): Counts(1, {"allow": 10_000}, bad=round(share * 10_000))
        for name, share in shares.items()
    }
    return [signal.kind for signal in find_burns(counts.__getitem__)]


def test_a_budget_that_burns_in_both_windows_is_told() -> None:
    assert burns(m60=0.073, m5=0.073, m360=0.02, m30=0.02) == ["slo_burn_fast"]
    assert burns(m60=0.04, m5=0.04, m360=0.031, m30=0.031) == ["slo_burn_slow"]


def test_a_short_fit_and_trouble_that_is_over_are_not_told() -> None:
    assert burns(m60=0.02, m5=0.9, m360=0.01, m30=0.3) == []
    assert burns(m60=0.3, m5=0.0, m360=0.3, m30=0.0) == []


def test_a_handful_of_late_decisions_in_a_quiet_night_wakes_nobody() -> None:
    assert find_burns(lambda _: Counts(1, {"allow": 9}, bad=9)) == []
    assert len(find_burns(lambda _: Counts(1, {"allow": 10}, bad=10))) == len(BURNS)


@pytest.mark.parametrize(("fault", "kind"), PART_KINDS.items())
def test_a_part_that_is_missing_is_told_by_its_kind(fault: Fault, kind: str) -> None:
    recent = Counts(5, {"allow": 500}, faults={fault: 5})
    assert [signal.kind for signal in find_missing_parts(recent)] == [kind]
    assert find_missing_parts(replace(recent, faults={fault: 4})) == []
    assert find_missing_parts(replace(recent, decisions={"allow": 501})) == [], "less than 1 %"


def test_every_fault_has_a_kind_or_counts_into_the_service_level() -> None:
    assert set(Fault) - set(PART_KINDS) == {Fault.DEADLINE, Fault.COMMIT_LATE}
    assert set(PART_KINDS.values()) <= set(KINDS)


def test_rules_that_fail_are_named() -> None:
    (signal,) = find_missing_parts(Counts(5, {"allow": 10}, faults={Fault.RULE_ERROR: 10}), ["rule_1"])
    assert signal.measures == {"rules": ["rule_1"]}


@pytest.mark.parametrize("skew_ms", [30_000, -30_000])
def test_a_clock_that_left_the_database_s_is_told_with_its_process(skew_ms: int) -> None:
    recent = Counts(5, {"allow": 1}, ahead_ms=max(skew_ms, 0), behind_ms=min(skew_ms, 0))
    assert [signal.scope for signal in find_skew(recent, 0)] == ["deciding"]
    assert [signal.scope for signal in find_skew(Counts(5), skew_ms)] == ["worker"]
    assert find_skew(Counts(5, ahead_ms=29_999, behind_ms=-29_999), 29_999) == []
