"""The Fraud Detection Handbook's benchmark: its features, longer histories, and its way of measuring.

Source: "Reproducible Machine Learning for Credit Card Fraud Detection", chapters 3 to 5. Train on some days, let the
seven days pass after which a fraud is known, test on the next seven; cards known as defrauded are left out of the test.
A label is read only after its delay, in features as in training.
"""

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from risk_engine.domain.facts import NIGHT_ENDS_HOUR
from risk_engine.domain.offline_windows import EntityHistory
from risk_engine.domain.simulator import DAY_S, STARTS_AT, Transactions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Columns = dict[str, Floats]

SPANS = (1, 7, 30)  # days
LABEL_DELAY = 7  # days after which a fraud is known
WEEK = 7
UNKNOWN_AGE = 99.0  # days; "never", for features that count days since something
ODD_RATIO = 2.6  # an amount drawn around a customer's mean stays below it in 999 of 1,000 cases, five times it does not
AMOUNT_LINE_MINOR = (
    22_000  # above it the simulator calls every payment a fraud: says nothing about the terminal
)
STOLEN_FOR = 28  # days; a terminal's fraud ends then

PUBLISHED: tuple[str, ...] = (
    "amount", "is_weekend", "is_night",
    *(f"customer_count_{days}d" for days in SPANS), *(f"customer_mean_{days}d" for days in SPANS),
    *(f"terminal_count_{days}d" for days in SPANS), *(f"terminal_risk_{days}d" for days in SPANS),
)  # fmt: skip
RATIOS: tuple[str, ...] = tuple(f"ratio_to_mean_{days}d" for days in SPANS)
LONGER: tuple[str, ...] = (
    *RATIOS,
    "customer_median", "ratio_to_median", "customer_payments_before",
    *(f"customer_odd_{days}d" for days in (1, 3, 7, 14)),
    *(f"terminal_frauds_{days}d" for days in (7, 14, 28)),
    "terminal_first_fraud_age", "terminal_last_fraud_age", "terminal_share_since", "terminal_known_since",
    "terminal_last_good_age",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fold:
    """Row numbers to train on and to test on."""

    train: Ints
    test: Ints


def day_number(day: date) -> int:
    """Days since the simulator's first."""
    return (day - STARTS_AT.date()).days


def fold_of(transactions: Transactions, first_day: int, *, train_days: int = WEEK) -> Fold:
    """Seven days from `first_day` (more of them before it when `train_days` is longer), delay, seven test days.

    Left out of each test day: cards with a fraud in the seven training days or later, up to the day before the delay.
    """
    day, is_fraud, card = transactions.day, transactions.scenario > 0, transactions.customer
    end = first_day + WEEK
    train = np.flatnonzero((day >= end - train_days) & (day < end))
    tests = []
    for today in range(end + LABEL_DELAY, end + LABEL_DELAY + WEEK):
        known = card[is_fraud & (day >= first_day) & (day < today - LABEL_DELAY)]
        rows = np.flatnonzero(day == today)
        tests.append(rows[~np.isin(card[rows], known)])
    return Fold(train, np.concatenate(tests))


def published_features(transactions: Transactions) -> Columns:
    """The handbook's 15 features; amounts in major units."""
    at_s, amount, is_fraud = transactions.at_s, transactions.amount_minor, transactions.scenario > 0
    customers, terminals = (
        EntityHistory(transactions.customer, at_s),
        EntityHistory(transactions.terminal, at_s),
    )
    columns: Columns = {
        "amount": amount / 100,
        "is_weekend": ((STARTS_AT.weekday() + transactions.day) % 7 >= 5).astype(np.float64),
        "is_night": (at_s % DAY_S // 3600 <= NIGHT_ENDS_HOUR).astype(np.float64),
    }
    for days in SPANS:
        count, total = customers.count(days * DAY_S), customers.sum(amount, days * DAY_S)
        columns[f"customer_count_{days}d"] = count.astype(np.float64)
        columns[f"customer_mean_{days}d"] = total / count / 100
        seen = terminals.count(days * DAY_S, delay_s=LABEL_DELAY * DAY_S)
        frauds = terminals.sum(is_fraud.astype(np.int64), days * DAY_S, delay_s=LABEL_DELAY * DAY_S)
        columns[f"terminal_count_{days}d"] = seen.astype(np.float64)
        columns[f"terminal_risk_{days}d"] = frauds / np.maximum(seen, 1)
    return columns


def longer_features(transactions: Transactions) -> Columns:
    """What a longer memory adds: the amount against the customer's earlier payments, how many of them were odd lately,
    and since when a terminal's frauds are known."""
    at_s, amount = transactions.at_s, transactions.amount_minor
    customers, terminals = (
        EntityHistory(transactions.customer, at_s),
        EntityHistory(transactions.terminal, at_s),
    )
    columns: Columns = {}
    for days in SPANS:
        others = customers.count(days * DAY_S) - 1
        total = customers.sum(amount, days * DAY_S) - amount
        columns[f"ratio_to_mean_{days}d"] = np.where(total > 0, amount * others / np.maximum(total, 1), 1.0)
    median, before = _medians_before(customers, amount)
    ratio = amount / np.maximum(median, 1)
    is_odd = (ratio > ODD_RATIO).astype(np.int64)
    columns |= {"customer_median": median / 100, "ratio_to_median": ratio, "customer_payments_before": before}
    for days in (1, 3, 7, 14):
        columns[f"customer_odd_{days}d"] = (customers.sum(is_odd, days * DAY_S) - is_odd).astype(np.float64)
    # A fraud whose amount explains it says nothing about the terminal.
    points_to_terminal = (transactions.scenario > 0) & (amount <= AMOUNT_LINE_MINOR) & (is_odd == 0)
    for days in (7, 14, 28):
        frauds = terminals.sum(points_to_terminal.astype(np.int64), days * DAY_S, delay_s=LABEL_DELAY * DAY_S)
        columns[f"terminal_frauds_{days}d"] = frauds.astype(np.float64)
    return columns | _known_frauds_of_terminals(
        terminals, at_s, transactions.scenario > 0, points_to_terminal
    )


def _medians_before(customers: EntityHistory, amount: Ints) -> tuple[Floats, Floats]:
    """Median of all earlier amounts of the customer (its own amount for the first) and their number."""
    median, before = np.zeros(len(amount)), np.zeros(len(amount))
    for own in customers.groups():
        earlier: list[int] = []
        for row, value in zip(own.tolist(), amount[own].tolist(), strict=True):
            size = len(earlier)
            before[row] = size
            median[row] = (earlier[size // 2] + earlier[(size - 1) // 2]) / 2 if size else value
            insort(earlier, value)
    return median, before


def _known_frauds_of_terminals(
    terminals: EntityHistory, at_s: Ints, is_fraud: NDArray[np.bool_], points_to_terminal: NDArray[np.bool_]
) -> Columns:
    """Of the frauds that are known at each payment and at most STOLEN_FOR days older than the label delay: age in
    days of the first and the last; since that first one, how many payments are known and which share of them was fraud;
    and the age of the terminal's last payment known to be good."""
    names = LONGER[-5:]
    columns = {
        name: np.full(len(at_s), UNKNOWN_AGE if name.endswith("_age") else 0.0, dtype=np.float64)
        for name in names
    }
    delay_s, memory_s = LABEL_DELAY * DAY_S, (LABEL_DELAY + STOLEN_FOR) * DAY_S
    for own in terminals.groups():
        pointing = np.flatnonzero(points_to_terminal[own]).tolist()
        if not pointing:
            continue
        times, good = at_s[own].tolist(), np.flatnonzero(~is_fraud[own]).tolist()
        frauds_before = np.concatenate([[0], np.cumsum(is_fraud[own])]).tolist()
        for row, now in zip(own.tolist(), times, strict=True):
            known = bisect_right(times, now - delay_s)
            first = bisect_left(pointing, bisect_right(times, now - memory_s))
            end = bisect_left(pointing, known)
            if first >= end:
                continue
            since = pointing[first]
            last_good = bisect_left(good, known) - 1
            values = (
                (now - times[since]) / DAY_S,
                (now - times[pointing[end - 1]]) / DAY_S,
                (frauds_before[known] - frauds_before[since]) / (known - since),
                known - since,
                (now - times[good[last_good]]) / DAY_S if last_good >= 0 else UNKNOWN_AGE,
            )
            for name, value in zip(names, values, strict=True):
                columns[name][row] = value
    return columns
