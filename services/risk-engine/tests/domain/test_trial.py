"""The share of a challenger, and what pairs of verdicts say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_engine.domain.decision import Decision
from risk_engine.domain.trial import SHARE_MAX_BP, Pair, difference, is_challenged

ALLOW, REVIEW, BLOCK = Decision.ALLOW, Decision.REVIEW, Decision.BLOCK


@pytest.mark.parametrize("share_bp", [100, 2_000, SHARE_MAX_BP])
def test_about_the_share_is_challenged(share_bp: int) -> None:
    found = sum(is_challenged(share_bp, "mer_1", f"key-{n}") for n in range(20_000)) / 20_000
    assert found == pytest.approx(share_bp / 10_000, abs=0.012)


def test_nobody_is_challenged_in_the_shadow() -> None:
    assert not any(is_challenged(0, "mer_1", f"key-{n}") for n in range(2_000))


@given(st.text(max_size=20), st.integers(0, SHARE_MAX_BP), st.integers(0, SHARE_MAX_BP))
def test_who_is_challenged_at_a_share_is_challenged_at_every_larger_one(key: str, one: int, two: int) -> None:
    if is_challenged(min(one, two), "mer_1", key):
        assert is_challenged(max(one, two), "mer_1", key)


def test_rates_change_and_interval() -> None:
    """Worked by hand from the cited formula: n = 100, 12 only challenger, 4 only live."""
    found = difference(
        [Pair(ALLOW, ALLOW, 80), Pair(ALLOW, REVIEW, 12), Pair(REVIEW, ALLOW, 4), Pair(REVIEW, BLOCK, 4)]
    )
    assert (found.payments, found.live_alert_rate, found.challenger_alert_rate) == (100, 0.08, 0.16)
    assert (found.change, found.stricter, found.milder) == (0.08, 16, 4)
    assert (found.change_low, found.change_high) == pytest.approx((-0.00166, 0.15852), abs=0.00001)


def test_nothing_seen_is_an_interval_as_wide_as_can_be_told() -> None:
    found = difference([])
    assert (found.payments, found.change) == (0, 0.0)
    assert (found.change_low, found.change_high) == (-1.0, 1.0)
