"""Training on a slice, and that what it computes is what the online path computes."""

from collections.abc import AsyncIterator
from datetime import timedelta

import numpy as np
import pytest
from risk_rig import a_subject

from platform_kit.redis import create_redis
from risk_engine.clients.features import FeatureStore
from risk_engine.clients.model import LightGbmScorer
from risk_engine.domain.facts import is_night, is_weekend
from risk_engine.domain.features import model_features
from risk_engine.domain.handbook import published_features
from risk_engine.domain.simulator import STARTS_AT, Transactions, simulate
from risk_engine.operations.train_model import fit_calibration, sample_of, train_model


@pytest.fixture(scope="module")
def sliced() -> Transactions:
    """300 customers, all days; fewer terminals are stolen from than would be with 10,000."""
    return simulate(customers=300, terminals=1_000)


@pytest.fixture
async def features(clean_redis_url: str) -> AsyncIterator[FeatureStore]:
    async with create_redis(clean_redis_url, timeout_s=60) as redis:
        yield FeatureStore(redis, timeout_s=60)  # the deadline is not what is tested


async def test_the_online_path_computes_the_rows_of_the_training(
    sliced: Transactions, features: FeatureStore
) -> None:
    """40 customers for 35 days, streamed through Redis in the order of events: equal row by row."""
    chosen = (sliced.customer < 40) & (sliced.day < 35)
    few = Transactions(
        at_s=sliced.at_s[chosen],
        customer=sliced.customer[chosen],
        terminal=sliced.terminal[chosen],
        amount_minor=sliced.amount_minor[chosen],
        scenario=np.zeros_like(sliced.scenario[chosen]),  # scenario 1 is left out of training, not of life
        frauds_added=(0, 0, 0),
    )
    online = []
    for number, (at_s, customer, amount) in enumerate(
        zip(few.at_s.tolist(), few.customer.tolist(), few.amount_minor.tolist(), strict=True)
    ):
        at = STARTS_AT + timedelta(seconds=at_s)
        subject = a_subject(number, customer_id=f"c-{customer}", occurred_at=at, card="", device="", ip="")
        windows = (await features.assess(subject, amount)).windows
        online.append(model_features(amount, windows, is_weekend=is_weekend(at), is_night=is_night(at)))
    assert len(online) > 2_000
    assert np.array_equal(np.array(online), sample_of(few, (0, 35)).rows)


async def test_the_online_path_computes_the_handbooks_terminal_features(
    sliced: Transactions, features: FeatureStore
) -> None:
    """50 days at twelve terminals, one of them stolen: counts and shares of frauds, known a week late, row by row."""
    chosen = (sliced.customer < 25) & (sliced.day < 50)
    terminal = sliced.terminal[chosen] % 12
    few = Transactions(
        at_s=sliced.at_s[chosen],
        customer=sliced.customer[chosen],
        terminal=terminal,
        amount_minor=sliced.amount_minor[chosen],
        scenario=np.where(terminal == 2, 2, 0),
        frauds_added=(0, 0, 0),
    )
    names = tuple(f"terminal_{what}_{span}" for what in ("count", "risk") for span in ("1d", "7d", "30d"))
    online = []
    for number, (at_s, where, scenario) in enumerate(
        zip(few.at_s.tolist(), terminal.tolist(), few.scenario.tolist(), strict=True)
    ):
        at = STARTS_AT + timedelta(seconds=at_s)
        subject = a_subject(
            number, terminal=f"t-{where}", occurred_at=at, customer_id="", card="", device="", ip=""
        )
        windows = (await features.assess(subject, 100)).windows
        online.append(model_features(100, windows, is_weekend=False, is_night=False, names=names))
        if scenario:  # said at once: the window waits for its week by itself
            await features.record(subject, 100, kind="frauds", timeout_s=60)
    expected = published_features(few)
    columns = np.column_stack([expected[name] for name in names])
    assert len(online) > 1_000
    assert columns[:, -1].max() == 1
    assert np.array_equal(np.array(online), columns)


def test_a_model_of_a_slice_can_be_loaded_and_finds_most_stolen_cards(sliced: Transactions) -> None:
    text, metadata = train_model(sliced, rounds=40)
    scorer = LightGbmScorer(text, metadata)
    assert 0 <= scorer.score([1.0] * len(metadata["features"])) <= 10
    assert metadata["metrics"]["recall_at_score_50_by_scenario"]["3"] > 0.3
    assert metadata["metrics"]["precision_at_score_50"] > 0.5


def test_training_twice_gives_the_same_bytes(sliced: Transactions) -> None:
    assert train_model(sliced, rounds=3) == train_model(sliced, rounds=3)


def test_scenario_one_is_left_out(sliced: Transactions) -> None:
    assert 1 not in sample_of(sliced, (45, 115)).scenario


def test_calibration_never_falls_and_never_claims_certainty() -> None:
    raw = np.linspace(0, 1, 500)
    labels = (np.random.RandomState(1).uniform(size=500) < raw**2).astype(float)
    knots = fit_calibration(raw, labels)
    assert knots["raw"] == sorted(set(knots["raw"]))
    assert knots["probability"] == sorted(knots["probability"])
    assert knots["probability"][-1] < 1
