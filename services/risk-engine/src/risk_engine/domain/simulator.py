"""The transaction simulator of the Fraud Detection Handbook, built from its published parameters.

Source: "Reproducible Machine Learning for Credit Card Fraud Detection", chapter 3 (simulated dataset). Written from
the description, not from its code. It must give 1,754,155 transactions, 978 / 9,099 / 4,604 frauds added by the three
scenarios and the final labels 973 / 9,077 / 4,631 (`make simulator-check`). The order of the random draws is part of
the definition: NumPy's legacy generator and Python's own, re-seeded with the customer's id.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

STARTS_AT = datetime(2018, 4, 1, tzinfo=UTC)
DAY_S = 86_400
CUSTOMERS = 5_000
TERMINALS = 10_000
DAYS = 183
RADIUS = 5.0  # a terminal is near when its distance is less than this, on a grid of 100 by 100

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Transactions:
    """Columns of equal length, ordered by time; `at_s` counts seconds from STARTS_AT, amounts are in cents."""

    at_s: Ints
    customer: Ints
    terminal: Ints
    amount_minor: Ints
    scenario: Ints  # 0 = legitimate
    frauds_added: tuple[int, int, int]  # by each scenario, before a later one relabels

    @property
    def day(self) -> Ints:
        """Day number from the start, 0 to DAYS - 1."""
        return self.at_s // DAY_S


def simulate(*, customers: int = CUSTOMERS, terminals: int = TERMINALS, days: int = DAYS) -> Transactions:
    """The whole data set (about half a minute on one core), or a slice: customers draw independently of each other.

    A slice keeps each customer's transactions; the frauds of scenario 3 differ, because fewer can be drawn.
    """
    near = _terminals_near(customers, terminals)
    rows = [row for customer in range(customers) for row in _payments(customer, near[customer], days)]
    at_s, who, where, amounts = (np.array(column) for column in zip(*rows, strict=True))
    order = np.argsort(at_s, kind="stable")
    at_s, who, where, amounts = at_s[order], who[order], where[order], amounts[order]
    scenario, amounts, added = _label(at_s // DAY_S, who, where, amounts, customers, terminals, days)
    return Transactions(at_s, who, where, np.rint(amounts * 100).astype(np.int64), scenario, added)


@dataclass(frozen=True, slots=True)
class _Profile:
    x: float
    y: float
    mean_amount: float
    daily_rate: float


def _profiles(customers: int) -> list[_Profile]:
    """Seed 0; per customer two coordinates, a mean amount and a daily rate, drawn in this order."""
    rng = np.random.RandomState(0)
    return [
        _Profile(rng.uniform(0, 100), rng.uniform(0, 100), rng.uniform(5, 100), rng.uniform(0, 4))
        for _ in range(customers)
    ]


def _terminals_near(customers: int, terminals: int) -> list[list[int]]:
    """Per customer the ids of terminals within RADIUS, ascending. Seed 1 places the terminals."""
    places = np.random.RandomState(1).uniform(0, 100, size=(terminals, 2))
    return [
        np.flatnonzero(np.hypot(places[:, 0] - p.x, places[:, 1] - p.y) < RADIUS).tolist()
        for p in _profiles(customers)
    ]


def _payments(customer: int, near: list[int], days: int) -> list[tuple[int, int, int, float]]:
    """(second, customer, terminal, amount) of one customer's days, in the handbook's order of draws."""
    profile = _profile_of(customer)
    rng, choose = np.random.RandomState(customer), random.Random(customer)
    rows: list[tuple[int, int, int, float]] = []
    for day in range(days):
        for _ in range(rng.poisson(profile.daily_rate)):
            second = int(rng.normal(DAY_S / 2, 20_000))
            if not 0 < second < DAY_S:
                continue  # outside of the day: dropped, and draws no amount
            amount = rng.normal(profile.mean_amount, profile.mean_amount / 2)
            if amount < 0:
                amount = rng.uniform(0, profile.mean_amount * 2)
            if near:
                rows.append((day * DAY_S + second, customer, choose.choice(near), round(amount, 2)))
    return rows


_known_profiles: list[_Profile] = []


def _profile_of(customer: int) -> _Profile:
    if len(_known_profiles) <= customer:
        _known_profiles[:] = _profiles(max(CUSTOMERS, customer + 1))
    return _known_profiles[customer]


def _label(
    day: Ints, who: Ints, where: Ints, amounts: Floats, customers: int, terminals: int, days: int
) -> tuple[Ints, Floats, tuple[int, int, int]]:
    """Scenario per transaction and the amounts after scenario 3. The last day draws no new victims."""
    amounts = amounts.copy()
    scenario = np.zeros(len(day), dtype=np.int64)
    first_of_day = np.searchsorted(day, np.arange(days + 29))

    def between(first: int, last: int) -> slice:
        return slice(first_of_day[first], first_of_day[min(last, days + 28)])

    scenario[amounts > 220] = 1
    after_1 = np.count_nonzero(scenario)
    for today in range(days - 1):
        period = between(today, today + 28)
        stolen = np.random.RandomState(today).choice(terminals, size=2, replace=False)
        scenario[period][np.isin(where[period], stolen)] = 2
    after_2 = np.count_nonzero(scenario)
    for today in range(days - 1):
        period = between(today, today + 14)
        stolen = np.random.RandomState(today).choice(customers, size=min(3, customers), replace=False)
        candidates = (np.flatnonzero(np.isin(who[period], stolen)) + period.start).tolist()
        chosen = random.Random(today).sample(candidates, len(candidates) // 3)
        amounts[chosen] *= 5
        scenario[chosen] = 3
    total = np.count_nonzero(scenario)
    return scenario, amounts, (int(after_1), int(after_2 - after_1), int(total - after_2))
