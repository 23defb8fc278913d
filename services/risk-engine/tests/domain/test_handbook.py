"""The benchmark's features and split: no label is read before its time, and the figures mean what they say."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from risk_engine.domain.handbook import (
    LABEL_DELAY,
    LONGER,
    PUBLISHED,
    STOLEN_FOR,
    UNKNOWN_AGE,
    Columns,
    day_number,
    fold_of,
    longer_features,
    published_features,
)
from risk_engine.domain.simulator import DAY_S, Transactions, simulate


@pytest.fixture(scope="module")
def sliced() -> Transactions:
    return simulate(customers=250, terminals=600, days=70)


@pytest.fixture(scope="module")
def features(sliced: Transactions) -> Columns:
    return published_features(sliced) | longer_features(sliced)


def test_every_named_feature_is_there_and_a_number(sliced: Transactions, features: Columns) -> None:
    assert set(features) == {*PUBLISHED, *LONGER}
    assert all(len(column) == len(sliced.at_s) and np.isfinite(column).all() for column in features.values())


def test_a_row_worked_by_hand(sliced: Transactions, features: Columns) -> None:
    """One payment of a stolen terminal: each of its features from all rows, by its plain meaning."""
    row = int(np.flatnonzero((sliced.scenario == 2) & (features["terminal_frauds_28d"] > 2))[-1])
    now, terminal = sliced.at_s[row], sliced.terminal == sliced.terminal[row]
    known = terminal & (sliced.at_s <= now - LABEL_DELAY * DAY_S)
    month = known & (sliced.at_s > now - (LABEL_DELAY + 30) * DAY_S)
    assert features["terminal_count_30d"][row] == np.count_nonzero(month)
    assert features["terminal_risk_30d"][row] == np.mean(sliced.scenario[month] > 0)
    own = (sliced.customer == sliced.customer[row]) & (np.arange(len(sliced.at_s)) < row)
    assert features["customer_payments_before"][row] == np.count_nonzero(own)
    assert features["customer_median"][row] == np.median(sliced.amount_minor[own]) / 100
    week = own & (sliced.at_s > now - 7 * DAY_S)
    assert features["ratio_to_mean_7d"][row] == pytest.approx(
        sliced.amount_minor[row] / sliced.amount_minor[week].mean()
    )
    assert features["customer_mean_7d"][row] == pytest.approx(
        sliced.amount_minor[week | (np.arange(len(own)) == row)].mean() / 100
    )
    assert features["terminal_last_fraud_age"][row] - LABEL_DELAY >= 0
    assert features["terminal_first_fraud_age"][row] < LABEL_DELAY + STOLEN_FOR


def test_a_label_changes_nothing_before_its_delay_is_over(sliced: Transactions, features: Columns) -> None:
    """All labels of the last seven days turned round: no feature of any payment notices."""
    recent = sliced.at_s > sliced.at_s[-1] - LABEL_DELAY * DAY_S
    turned = replace(
        sliced, scenario=np.where(recent, 2 - 2 * np.minimum(sliced.scenario, 1), sliced.scenario)
    )
    assert np.count_nonzero(turned.scenario != sliced.scenario) > 1_000
    again = published_features(turned) | longer_features(turned)
    for name, column in features.items():
        assert np.array_equal(column, again[name]), name


def test_a_label_does_change_what_comes_after_its_delay(sliced: Transactions, features: Columns) -> None:
    old = sliced.day == 30
    turned = replace(sliced, scenario=np.where(old, 2, sliced.scenario))
    again = published_features(turned) | longer_features(turned)
    for name in (
        "terminal_risk_7d",
        "terminal_frauds_14d",
        "terminal_first_fraud_age",
        "terminal_share_since",
    ):
        changed = np.flatnonzero(features[name] != again[name])
        assert len(changed), name
        assert sliced.at_s[changed].min() >= 30 * DAY_S + LABEL_DELAY * DAY_S, name


def test_nothing_looks_ahead(sliced: Transactions, features: Columns) -> None:
    """The features of the first 50 days are the same when the rest has not happened yet."""
    size = int(np.searchsorted(sliced.day, 50))
    first = Transactions(
        *(column[:size] for column in (sliced.at_s, sliced.customer, sliced.terminal)),
        amount_minor=sliced.amount_minor[:size],
        scenario=sliced.scenario[:size],
        frauds_added=(0, 0, 0),
    )
    for name, column in (published_features(first) | longer_features(first)).items():
        assert np.array_equal(column, features[name][:size]), name


def test_a_terminal_without_known_frauds_says_never(features: Columns) -> None:
    clean = features["terminal_frauds_28d"] == 0
    assert (
        features["terminal_last_good_age"][clean & (features["terminal_known_since"] == 0)].min()
        == UNKNOWN_AGE
    )


def test_the_split_keeps_the_delay_and_leaves_out_known_cards(sliced: Transactions) -> None:
    fold = fold_of(sliced, 40)
    assert set(sliced.day[fold.train]) == set(range(40, 47))
    assert set(sliced.day[fold.test]) == set(range(54, 61))
    for today in range(54, 61):
        known = set(
            sliced.customer[(sliced.scenario > 0) & (sliced.day >= 40) & (sliced.day <= today - 8)].tolist()
        )
        tested = set(sliced.customer[fold.test[sliced.day[fold.test] == today]].tolist())
        assert known
        assert tested
        assert not known & tested


def test_a_longer_training_reaches_back_and_tests_the_same_payments(sliced: Transactions) -> None:
    short, long = fold_of(sliced, 40), fold_of(sliced, 40, train_days=30)
    assert set(sliced.day[long.train]) == set(range(17, 47))
    assert np.array_equal(short.test, long.test)


def test_days_are_counted_from_the_simulators_first() -> None:
    assert day_number(date(2018, 4, 1)) == 0
    assert day_number(date(2018, 7, 25)) == 115
