"""The periods of a retraining, and what must be known before there is one."""

from datetime import UTC, datetime, timedelta

import pytest

from risk_engine.domain.retraining import (
    FRAUDS_MIN,
    LABEL_DELAY,
    ROWS_MIN,
    TooLittle,
    periods_of,
    require_enough,
)

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_periods_follow_each_other_with_a_week_for_labels_between_them() -> None:
    found = periods_of(NOW, days=114, silent_days=30)
    assert found.test.until == NOW - timedelta(days=30)
    assert found.train.since == found.test.until - timedelta(days=114)
    assert found.calibration.since - found.train.until == LABEL_DELAY
    assert found.test.since - found.calibration.until == LABEL_DELAY
    lengths = [(one.until - one.since).days for one in (found.train, found.calibration, found.test)]
    assert lengths == [60, 20, 20]


def test_what_is_learned_was_known_when_the_first_test_payment_came() -> None:
    found = periods_of(NOW, days=180)
    assert found.train.known_at == found.calibration.known_at == found.test.since
    assert found.test.known_at == NOW


def test_too_little_is_said() -> None:
    with pytest.raises(TooLittle, match="29 days; at least 30"):
        periods_of(NOW, days=29)
    require_enough(ROWS_MIN, FRAUDS_MIN)
    with pytest.raises(TooLittle, match=f"{ROWS_MIN} decisions with {FRAUDS_MIN - 1} frauds"):
        require_enough(ROWS_MIN, FRAUDS_MIN - 1)
    with pytest.raises(TooLittle):
        require_enough(ROWS_MIN - 1, FRAUDS_MIN)
