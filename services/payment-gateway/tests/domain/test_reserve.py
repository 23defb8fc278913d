"""The rolling reserve: a rounded share, never of money that is not there, released once and not early."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.domain.reserve import ReservePlan, held, is_due, released

NOW = datetime(2026, 11, 26, tzinfo=UTC)
PLANS = st.builds(ReservePlan, st.integers(1, 10_000), st.integers(1, 365))


@pytest.mark.parametrize(
    ("settled", "available", "kept"),
    [(10_000, 10_000, 1_000), (5, 5, 0), (15, 15, 2), (-10_000, -10_000, 0), (10_000, 400, 400), (10_000, -1, 0)],
    ids=["a tenth", "half to even", "half up to even", "a debt settled", "most of it pays a debt", "all of it does"],
)  # fmt: skip
def test_the_share_is_rounded_and_at_most_what_is_available(settled: int, available: int, kept: int) -> None:
    assert ReservePlan(1_000, 30).share_minor(settled, available) == kept


@given(plan=PLANS, settled=st.integers(-(10**12), 10**12), before=st.integers(-(10**12), 10**12))
def test_a_reserve_neither_makes_a_debt_nor_deepens_one(plan: ReservePlan, settled: int, before: int) -> None:
    available = before + settled
    kept = plan.share_minor(settled, available)
    assert 0 <= kept <= max(0, settled)
    assert available - kept >= min(0, available)
    assert kept in (round(Fraction(max(0, settled) * plan.basis_points, 10_000)), max(0, available))


@given(plan=PLANS)
def test_a_reserve_is_due_once_and_after_its_days(plan: ReservePlan) -> None:
    kept = held("rsv_1", "mer_1", "EUR", 100, plan, NOW)
    end = NOW + timedelta(days=plan.days)
    assert not is_due(kept, end - timedelta(microseconds=1))
    assert is_due(kept, end)
    assert not is_due(released(kept, end), end + timedelta(days=1))
