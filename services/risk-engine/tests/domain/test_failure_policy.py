"""The policy is a whole table, and size never makes it milder."""

import pytest

from risk_engine.domain.decision import Decision
from risk_engine.domain.failure_policy import FAILURE_POLICY, FAULT_REASONS, Band, Fault, floor_of


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_a_row_and_a_sentence(fault: Fault) -> None:
    assert set(FAILURE_POLICY[fault]) == set(Band)
    assert FAULT_REASONS[fault].endswith(".")


@pytest.mark.parametrize("fault", Fault)
def test_a_larger_amount_is_never_treated_milder(fault: Fault) -> None:
    severities = [FAILURE_POLICY[fault][band].severity for band in Band]
    assert severities == sorted(severities)


def test_without_faults_everything_is_open() -> None:
    assert floor_of([], Band.VERY_HIGH) is Decision.ALLOW


def test_the_strictest_fault_counts() -> None:
    assert floor_of([Fault.MODEL, Fault.DEADLINE], Band.VERY_HIGH) is Decision.BLOCK


def test_the_policy_cannot_be_edited() -> None:
    with pytest.raises(TypeError):
        FAILURE_POLICY[Fault.MODEL][Band.LOW] = Decision.BLOCK  # type: ignore[index]
