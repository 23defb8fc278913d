"""The transaction simulator of the Fraud Detection Handbook, built from its published parameters.

Source: "Reproducible Machine Learning for Credit Card Fraud Detection", chapter 3 (simulated dataset). Written from
the description, not from its code. It must give 1,754,155 transactions, 978 / 9,099 / 4,604 frauds added by the three
scenarios and the final labels 973 / 9,077 / 4,631 (`make simulator-check`). The order of the random draws is part of
the definition: NumPy's legacy generator and Python's own, re-seeded with the customer's id.
"""

import hashlib
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
SEED_STEP = (
    1_000_000  # every draw has a seed of its own (a customer's id, a day); another `seed` moves all of them
)
SEED_MAX = 4_000  # NumPy's seeds end at 2**32

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

    @property
    def data_hash(self) -> str:
        """SHA-256 over all columns: names the data that a model was trained on."""
        digest = hashlib.sha256()
        for column in (self.at_s, self.customer, self.terminal, self.amount_minor, self.scenario):
            digest.update(np.ascontiguousarray(column, dtype="<i8").tobytes())
        return digest.hexdigest()


def simulate(
    *, customers: int = CUSTOMERS, terminals: int = TERMINALS, days: int = DAYS, seed: int = 0
) -> Transactions:
    """The whole data set (about 10 s on one core), or a slice: customers draw independently of each other.

    A slice keeps each customer's transactions; the frauds of scenario 3 differ, because fewer can be drawn. Seed 0 is
    the handbook's; each other one, up to SEED_MAX, is a world of the same kind. Raises ValueError for other seeds.
    """
    if not 0 <= seed <= SEED_MAX:
        raise ValueError(f"a seed lies between 0 and {SEED_MAX}")
    base = seed * SEED_STEP
    profiles = _profiles(customers, base)
    near = _terminals_near(profiles, terminals, base)
    rows = [
        row
        for customer, profile in enumerate(profiles)
        for row in _payments(customer, profile, near[customer], days, base)
    ]
    at_s, who, where = (np.array([row[place] for row in rows], dtype=np.int64) for place in range(3))
    amounts = np.array([row[3] for row in rows], dtype=np.float64)
    order = np.argsort(at_s, kind="stable")
    at_s, who, where, amounts = at_s[order], who[order], where[order], amounts[order]
    scenario, amounts, added = _label(at_s // DAY_S, who, where, amounts, customers, terminals, days, base)
    return Transactions(at_s, who, where, np.rint(amounts * 100).astype(np.int64), scenario, added)


@dataclass(frozen=True, slots=True)
class _Profile:
    x: float
    y: float
    mean_amount: float
    daily_rate: float


def _profiles(customers: int, base: int) -> list[_Profile]:
    """Seed 0; per customer two coordinates, a mean amount and a daily rate, drawn in this order."""
    rng = np.random.RandomState(base)
    return [
        _Profile(rng.uniform(0, 100), rng.uniform(0, 100), rng.uniform(5, 100), rng.uniform(0, 4))
        for _ in range(customers)
    ]


def _terminals_near(profiles: list[_Profile], terminals: int, base: int) -> list[list[int]]:
    """Per customer the ids of terminals within RADIUS, ascending. Seed 1 places the terminals."""
    places = np.random.RandomState(base + 1).uniform(0, 100, size=(terminals, 2))
    return [
        np.flatnonzero(np.hypot(places[:, 0] - p.x, places[:, 1] - p.y) < RADIUS).tolist() for p in profiles
    ]


def _payments(
    customer: int, profile: _Profile, near: list[int], days: int, base: int
) -> list[tuple[int, int, int, float]]:
    """(second, customer, terminal, amount) of one customer's days, in the handbook's order of draws."""
    rng, choose = np.random.RandomState(base + customer), random.Random(base + customer)
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


def _label(
    day: Ints,
    who: Ints,
    where: Ints,
    amounts: Floats,
    customers: int,
    terminals: int,
    days: int,
    base: int,
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
        stolen = np.random.RandomState(base + today).choice(terminals, size=2, replace=False)
        scenario[period][np.isin(where[period], stolen)] = 2
    after_2 = np.count_nonzero(scenario)
    for today in range(days - 1):
        period = between(today, today + 14)
        stolen = np.random.RandomState(base + today).choice(customers, size=min(3, customers), replace=False)
        candidates = (np.flatnonzero(np.isin(who[period], stolen)) + period.start).tolist()
        chosen = random.Random(base + today).sample(candidates, len(candidates) // 3)
        amounts[chosen] *= 5
        scenario[chosen] = 3
    total = np.count_nonzero(scenario)
    return scenario, amounts, (int(after_1), int(after_2 - after_1), int(total - after_2))
