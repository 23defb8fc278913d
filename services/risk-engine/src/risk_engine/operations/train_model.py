"""Train the packaged model on simulated transactions: `make model`.

    python -m risk_engine.operations.train_model [--customers N] [--out DIR] [--card FILE]

Three periods, each later than the one before: trees are grown on the first, calibrated on the second and measured on
the third, with the handbook's seven days of label delay between them. The features are those that the online path
computes at decision time (`domain/features.py`), so the delayed fraud share of a terminal, the handbook's strongest
input, is not among them: the platform has no such labels yet.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from risk_engine.clients.model import PACKAGED, model_hash
from risk_engine.domain.facts import NIGHT_ENDS_HOUR
from risk_engine.domain.features import FEATURES, MODEL_FEATURES, model_features
from risk_engine.domain.model_card import model_card
from risk_engine.domain.offline_windows import EntityHistory
from risk_engine.domain.ranking import area_under_curve, average_precision
from risk_engine.domain.simulator import CUSTOMERS, DAY_S, STARTS_AT, Transactions, simulate
from risk_engine.domain.velocity import WINDOWS

Floats = NDArray[np.float64]

TRAIN_DAYS = (45, 115)  # after the longest window (30 days) has filled
CALIBRATION_DAYS = (122, 145)
TEST_DAYS = (152, 182)  # the last day has no new victims: left out
PARAMETERS: Mapping[str, Any] = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.08,
    "min_data_in_leaf": 200,
    "lambda_l2": 10.0,
    "max_bin": 127,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 7,
    "verbosity": -1,
}
ROUNDS = 80
KNOTS_MAX = 40


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of MODEL_FEATURES with label and scenario of one period."""

    rows: Floats
    scenario: NDArray[np.int64]

    @property
    def labels(self) -> Floats:
        return (self.scenario > 0).astype(np.float64)


def train_model(transactions: Transactions, rounds: int = ROUNDS) -> tuple[str, dict[str, Any]]:
    """Model text and metadata (features, periods, calibration, metrics), as `LightGbmScorer` reads them.

    Scenario 1 (every amount above 220) is left out of all periods: it is a threshold of the simulator, and relative
    features cannot and shall not learn it. Scenario 2 (a stolen terminal) stays in the measurements though no feature
    sees it, so the figures are not flattered.
    """
    train, calibration, test = (
        sample_of(transactions, days) for days in (TRAIN_DAYS, CALIBRATION_DAYS, TEST_DAYS)
    )
    trained_on = {
        "source": "Fraud Detection Handbook simulator, scenario 1 left out",
        "data_sha256": transactions.data_hash,
        "customers": int(np.max(transactions.customer)) + 1,
        "starts_on": STARTS_AT.date().isoformat(),
        "train_days": list(TRAIN_DAYS),
        "calibration_days": list(CALIBRATION_DAYS),
        "test_days": list(TEST_DAYS),
        "train_rows": len(train.rows),
        "train_frauds": int(train.labels.sum()),
    }
    return fit(train, calibration, test, MODEL_FEATURES, trained_on, rounds)


def fit(
    train: Sample,
    calibration: Sample,
    test: Sample,
    names: Sequence[str],
    trained_on: Mapping[str, Any],
    rounds: int = ROUNDS,
) -> tuple[str, dict[str, Any]]:
    """Model text and metadata from three periods of rows of `names`."""
    # More or larger payments than usual never make a payment look safer.
    constraints = {"monotone_constraints": [int(FEATURES[name].only_raises) for name in names]}
    data = lightgbm.Dataset(train.rows, train.labels, feature_name=list(names))
    booster = lightgbm.train({**PARAMETERS, **constraints}, data, num_boost_round=rounds)
    knots = fit_calibration(np.asarray(booster.predict(calibration.rows)), calibration.labels)
    raw = np.asarray(booster.predict(test.rows))
    probability: Floats = np.interp(raw, knots["raw"], knots["probability"])
    metadata = {
        "format": 1,
        "features": list(names),
        "defaults": {name: FEATURES[name].default for name in names},
        "only_raises": [name for name in names if FEATURES[name].only_raises],
        "trained_on": dict(trained_on),
        "calibration": knots,
        "metrics": metrics_of(probability, test),
        "lightgbm": lightgbm.__version__,
        "rounds": rounds,
    }
    return str(booster.model_to_string(num_iteration=-1, importance_type="gain")), metadata


def sample_of(transactions: Transactions, days: tuple[int, int]) -> Sample:
    """Feature rows of the days [first, last), without scenario 1, computed as the online path would have."""
    counts, sums = _windows(transactions)
    hours = transactions.at_s % DAY_S // 3600
    weekdays = (STARTS_AT.weekday() + transactions.day) % 7
    inside = (transactions.day >= days[0]) & (transactions.day < days[1]) & (transactions.scenario != 1)
    chosen = np.flatnonzero(inside).tolist()
    rows = [
        model_features(
            int(transactions.amount_minor[i]),
            {f"customer_count_{span}": int(counts[span][i]) for span in counts}
            | {f"customer_sum_{span}": int(sums[span][i]) for span in sums},
            is_weekend=bool(weekdays[i] >= 5),
            is_night=bool(hours[i] <= NIGHT_ENDS_HOUR),
        )
        for i in chosen
    ]
    return Sample(np.array(rows), transactions.scenario[chosen])


def _windows(transactions: Transactions) -> tuple[dict[str, NDArray[np.int64]], dict[str, NDArray[np.int64]]]:
    """Count and sum of each customer's last 1, 7 and 30 days, the transaction itself included, left-open."""
    spans = {span: WINDOWS[f"customer_count_{span}"].length_ms // 1000 for span in ("1d", "7d", "30d")}
    customers = EntityHistory(transactions.customer, transactions.at_s)
    return (
        {span: customers.count(length_s) for span, length_s in spans.items()},
        {span: customers.sum(transactions.amount_minor, length_s) for span, length_s in spans.items()},
    )


def fit_calibration(raw: Floats, labels: Floats) -> dict[str, list[float]]:
    """Isotonic regression (pool adjacent violators) thinned to KNOTS_MAX knots: raw output -> probability."""
    order = np.argsort(raw, kind="stable")
    blocks: list[list[float]] = []  # [mean label, weight, sum of raw]
    for value, label in zip(raw[order].tolist(), labels[order].tolist(), strict=True):
        blocks.append([label, 1.0, value])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, weight, total = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + mean * weight) / (before[1] + weight)
            before[1], before[2] = before[1] + weight, before[2] + total
    # The calibration sample is finite: one fraud too many in each block, so that no score claims certainty.
    points = {round(total / weight, 9): mean * weight / (weight + 1) for mean, weight, total in blocks}
    raws = sorted(points)
    kept = raws[:: max(1, len(raws) // KNOTS_MAX)]
    probabilities = np.maximum.accumulate([points[value] for value in kept])
    return {"raw": kept, "probability": [round(float(value), 6) for value in probabilities]}


def metrics_of(probability: Floats, sample: Sample) -> dict[str, Any]:
    """Ranking quality and what a score threshold finds, on the test period."""
    alerts = probability >= 0.5
    recall = {
        str(scenario): round(float(alerts[sample.scenario == scenario].mean()), 4)
        for scenario in (2, 3)
        if np.any(sample.scenario == scenario)
    }
    return {
        "rows": len(sample.rows),
        "frauds": int(sample.labels.sum()),
        "auc": round(area_under_curve(probability, sample.labels), 4),
        "average_precision": round(average_precision(probability, sample.labels), 4),
        "precision_at_score_50": round(float(sample.labels[alerts].mean()), 4) if alerts.any() else None,
        "recall_at_score_50_by_scenario": recall,
        "alert_share_at_score_50": round(float(alerts.mean()), 5),
        "brier": round(float(np.mean((probability - sample.labels) ** 2)), 6),
        "calibration_bands": calibration_bands(probability, sample.labels),
    }


def calibration_bands(probability: Floats, labels: Floats) -> list[dict[str, Any]]:
    """What was said and what was true, per ten points of score; bands without payments are left out."""
    band = np.minimum((probability * 10).astype(np.int64), 9)
    return [
        {
            "from": int(one) * 10,
            "payments": int(np.count_nonzero(band == one)),
            "said": round(float(probability[band == one].mean()), 4),
            "true": round(float(labels[band == one].mean()), 4),
        }
        for one in np.unique(band)
    ]


def main(arguments: list[str]) -> None:
    """Simulate, train, write `model.txt` and `model.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument("--out", type=Path, default=PACKAGED.parent)
    parser.add_argument("--card", type=Path, help="write the model card here")
    options = parser.parse_args(arguments)
    model_text, metadata = train_model(simulate(customers=options.customers))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "model.txt").write_text(model_text, encoding="utf-8")
    (options.out / "model.json").write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    if options.card:
        options.card.write_text(model_card(metadata, model_hash(model_text, metadata)), encoding="utf-8")
    sys.stdout.write(json.dumps(metadata["metrics"], indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
