"""A slice of the simulator: reproducible, and its scenarios mean what the handbook says."""

import numpy as np
import pytest

from risk_engine.domain.simulator import DAY_S, Transactions, simulate


@pytest.fixture(scope="module")
def sliced() -> Transactions:
    return simulate(customers=300, terminals=1_000, days=60)


def test_the_slice_is_the_same_on_every_machine(sliced: Transactions) -> None:
    """Counted once; another number means that a draw moved, in NumPy or in Python's own generator."""
    assert len(sliced.at_s) == 34_070
    assert sliced.frauds_added == (16, 1_475, 1_440)
    assert np.bincount(sliced.scenario).tolist() == [31_139, 14, 1_421, 1_496]
    assert int(sliced.amount_minor.sum()) == 215_211_639


def test_transactions_come_in_order_of_time_within_their_day(sliced: Transactions) -> None:
    assert np.all(np.diff(sliced.at_s) >= 0)
    assert np.all((sliced.at_s % DAY_S > 0) & (sliced.day < 60))


def test_a_stolen_card_pays_five_times_as_much(sliced: Transactions) -> None:
    victims = np.unique(sliced.customer[sliced.scenario == 3])
    ratios = [
        sliced.amount_minor[(sliced.customer == victim) & (sliced.scenario == 3)].mean()
        / sliced.amount_minor[(sliced.customer == victim) & (sliced.scenario == 0)].mean()
        for victim in victims
        if np.any((sliced.customer == victim) & (sliced.scenario == 0))
    ]
    assert 4 < float(np.median(ratios)) < 6


def test_a_customer_without_a_terminal_near_pays_nothing() -> None:
    assert set(simulate(customers=20, terminals=5, days=5).customer.tolist()) < set(range(20))


def test_a_world_where_nobody_is_near_a_terminal_is_empty() -> None:
    assert len(simulate(customers=1, terminals=2, days=3).at_s) == 0


def test_more_customers_leave_the_first_ones_as_they_were() -> None:
    few, more = simulate(customers=20, days=5), simulate(customers=25, days=5)
    assert len(few.at_s) > 20
    first = more.customer < 20
    assert np.array_equal(few.at_s, more.at_s[first])
    assert np.array_equal(few.terminal, more.terminal[first])


def test_another_seed_is_another_world_of_the_same_kind() -> None:
    first, second = simulate(customers=50, days=20, seed=1), simulate(customers=50, days=20, seed=2)
    assert first.data_hash == simulate(customers=50, days=20, seed=1).data_hash
    assert len({first.data_hash, second.data_hash, simulate(customers=50, days=20).data_hash}) == 3
    assert 0.5 < len(first.at_s) / len(second.at_s) < 2
    with pytest.raises(ValueError, match="between 0 and 4000"):
        simulate(customers=1, seed=4_001)
