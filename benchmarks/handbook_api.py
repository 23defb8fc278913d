"""`make bench-handbook-api`: the handbook's four test weeks through the deployed decision API.

For each week a model of the features that the online windows know is trained on days before it, as the handbook splits
them, and given to a real `risk-engine api` as MODEL_FILE. All payments of 37 days and their known frauds go into the
windows; then the payments of the weeks are asked about, in the order of events, by POST /v1/assessments/batch. The
figures are of the probabilities that came back.

Ends with exit code 1 when a probability is not what the columns give, when a decision was degraded, or when the mean
of the four weeks misses one of the goals. With `--weeks` or `--customers` it asks about a part, and judges no goal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lightgbm
import numpy as np
import orjson
import uvloop
from numpy.typing import NDArray
from redis import Redis as SyncRedis
from rich.console import Console

from benchmarks import report
from benchmarks.handbook import (
    BASE_SPLIT,
    CHOICES,
    FIRST_DAYS,
    FIXED,
    GOALS,
    MEASURES,
    base_split,
    measured,
    transactions_of,
)
from benchmarks.risk import HEADERS, api_process, degraded_so_far
from platform_cli.embedded.testing import DatabaseFactory, test_servers
from platform_kit.redis import create_redis
from risk_engine.api.schemas.assessments import AssessmentRequest
from risk_engine.clients.features import WARM_KEY, FeatureStore, VelocityUnavailable
from risk_engine.clients.rule_files import PACKAGED
from risk_engine.domain import handbook
from risk_engine.domain.facts import NIGHT_ENDS_HOUR
from risk_engine.domain.features import FEATURES
from risk_engine.domain.handbook import SPANS, WEEK
from risk_engine.domain.offline_windows import EntityHistory
from risk_engine.domain.score import PPM, Calibration, estimate_of
from risk_engine.domain.simulator import DAY_S, STARTS_AT, Transactions
from risk_engine.operations.train_model import fit_calibration

Floats = NDArray[np.float64]

CHOICE, ROUNDS = CHOICES[2], 220  # what `make bench-handbook` chose for ratios on its validation weeks
BATCH_MAX = 64
RECORDED_AT_ONCE = 128
HISTORY_DAYS = 37  # of the longest window
HOUR_S = 3_600
NAMES = tuple(name for name in FEATURES if not name.startswith(("amount_ratio", "mean_ratio")))


def columns_of(transactions: Transactions) -> Floats:
    """Rows of NAMES for all transactions, by the arithmetic of `domain/features.py` over columns."""
    amount, customers = transactions.amount_minor, EntityHistory(transactions.customer, transactions.at_s)
    terminals, delay_s = (
        EntityHistory(transactions.terminal, transactions.at_s),
        handbook.LABEL_DELAY * DAY_S,
    )
    frauds = (transactions.scenario > 0).astype(np.int64)
    columns = {
        "amount": amount.astype(np.float64),
        "is_weekend": ((STARTS_AT.weekday() + transactions.day) % 7 >= 5).astype(np.float64),
        "is_night": (transactions.at_s % DAY_S // 3600 <= NIGHT_ENDS_HOUR).astype(np.float64),
    }
    for days in SPANS:
        count, total = customers.count(days * DAY_S), customers.sum(amount, days * DAY_S)
        others, their_total = count - 1, total - amount
        columns[f"customer_count_{days}d"] = count.astype(np.float64)
        columns[f"customer_mean_{days}d"] = total / count
        columns[f"ratio_to_mean_{days}d"] = np.where(
            their_total > 0, amount * others / np.maximum(their_total, 1), 1.0
        )
        seen = terminals.count(days * DAY_S, delay_s=delay_s)
        columns[f"terminal_count_{days}d"] = seen.astype(np.float64)
        columns[f"terminal_risk_{days}d"] = terminals.sum(frauds, days * DAY_S, delay_s=delay_s) / np.maximum(
            seen, 1
        )
    month, month_total = customers.count(30 * DAY_S), customers.sum(amount, 30 * DAY_S)
    for days in (1, 7, 14):
        largest = customers.largest(amount, days * DAY_S, delay_s=1)
        columns[f"largest_ratio_{days}d"] = largest * month / np.maximum(month_total, 1)
    for days in (14, 28):
        columns[f"terminal_frauds_{days}d"] = terminals.sum(frauds, days * DAY_S, delay_s=delay_s).astype(
            np.float64
        )
    # The last fraud is the one of the largest time, the first that of the longest time before the end.
    at_s, end_s = transactions.at_s, int(transactions.at_s[-1]) + 1
    last = terminals.largest(frauds * (at_s + 1), 28 * DAY_S, delay_s=delay_s)
    first = terminals.largest(frauds * (end_s - at_s), 28 * DAY_S, delay_s=delay_s)
    hours = {"last": (at_s - (last - 1)) // HOUR_S, "first": (at_s - (end_s - first)) // HOUR_S}
    for name, values in hours.items():
        columns[f"terminal_{name}_fraud_hours"] = np.where(last > 0, values, 0).astype(np.float64)
    return np.column_stack([columns[name] for name in NAMES])


def train(
    transactions: Transactions, rows: Floats, week_day: int, train_days: int
) -> tuple[str, dict[str, Any]]:
    """Model text and metadata, as the service reads them, of the fold that begins on `week_day`; the calibration is
    fitted on the week before training."""
    labels = (transactions.scenario > 0).astype(np.float64)
    fold = handbook.fold_of(transactions, week_day, train_days=train_days)
    data = lightgbm.Dataset(rows[fold.train], labels[fold.train], feature_name=list(NAMES))
    booster = lightgbm.train({**FIXED, **CHOICE}, data, num_boost_round=ROUNDS)
    first_day = week_day + WEEK - train_days
    before = (transactions.day >= first_day - WEEK) & (transactions.day < first_day)
    knots = fit_calibration(np.asarray(booster.predict(rows[before], num_threads=1)), labels[before])
    return booster.model_to_string(), {"format": 1, "features": list(NAMES), "calibration": knots}


def requests_of(
    transactions: Transactions, chosen: NDArray[np.int64]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row, body of an assessment) in the order of events."""
    for row in chosen.tolist():
        at = STARTS_AT + timedelta(seconds=int(transactions.at_s[row]))
        yield (
            row,
            {
                "merchant_id": "mer_handbook",
                "idempotency_key": f"tx-{row}",
                "payment_id": f"pay_{row}",
                "amount_minor": int(transactions.amount_minor[row]),
                "currency": "EUR",
                "method": "card",
                "terminal_id": f"terminal-{transactions.terminal[row]}",
                "customer": {"id": f"customer-{transactions.customer[row]}"},
                "occurred_at": at.isoformat(),
            },
        )


async def record_history(redis_url: str, bodies: Sequence[dict[str, Any]], kind: str) -> None:
    """Payments before the test week, or those of them that were fraud, into the windows."""
    now = STARTS_AT + timedelta(days=400)
    async with create_redis(redis_url) as redis:
        features = FeatureStore(redis, timeout_s=60)
        for start in range(0, len(bodies), RECORDED_AT_ONCE):
            piece = [
                AssessmentRequest.model_validate(body).subject(now, lambda ip: "")
                for body in bodies[start : start + RECORDED_AT_ONCE]
            ]
            for tries_left in range(
                4, -1, -1
            ):  # a starved machine is late at times; what is recorded stays once
                try:
                    await asyncio.gather(
                        *(features.record(one, one.amount_minor, kind=kind, timeout_s=60) for one in piece)
                    )
                    break
                except VelocityUnavailable:
                    if not tries_left:
                        raise


def batches(requests: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """In the order of events; a customer stands once in a batch, because what is in one is decided at the same time."""
    batch: list[tuple[int, dict[str, Any]]] = []
    customers: set[str] = set()
    for row, body in requests:
        customer = body["customer"]["id"]
        if customer in customers or len(batch) == BATCH_MAX:
            yield batch
            batch, customers = [], set()
        batch.append((row, body))
        customers.add(customer)
    if batch:
        yield batch


def probabilities_of(port: int, requests: Iterator[tuple[int, dict[str, Any]]]) -> dict[int, int]:
    """Row -> the probability that the API answered, in millionths: whole percents would tie what a day is ranked by."""
    answered_of: dict[int, int] = {}
    for batch in batches(requests):
        content = orjson.dumps({"data": [{"assessment": body} for _, body in batch]})
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/assessments/batch",
            content,
            HEADERS | {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - our own process
            answers = json.load(response)["data"]
        for (row, _), answered in zip(batch, answers, strict=True):
            if answered["status"] != 200:
                raise RuntimeError(f"row {row}: {answered}")
            answered_of[row] = answered["assessment"]["probability_ppm"]
    return answered_of


def offline_probabilities(text: str, metadata: dict[str, Any], rows: Floats) -> tuple[Floats, list[int]]:
    """What the same model says of the columns: raw, and as the API says it, in millionths."""
    raw = np.asarray(lightgbm.Booster(model_str=text).predict(rows, num_threads=1))
    knots = metadata["calibration"]
    calibration = Calibration(tuple(knots["raw"]), tuple(knots["probability"]))
    return raw, [estimate_of(calibration, float(value)).probability_ppm for value in raw]


@dataclass(frozen=True, slots=True)
class Week:
    """One fold: its first day of training, and the model that its test week is asked with."""

    first_day: int
    model: tuple[str, dict[str, Any]]

    @property
    def test_day(self) -> int:
        return self.first_day + 2 * WEEK


@dataclass(frozen=True, slots=True)
class Asked:
    """What the API answered in one test week."""

    probabilities: dict[int, int]  # by row, in millionths
    degraded: int
    seconds: float


def stream(transactions: Transactions, weeks: Sequence[Week], sample: NDArray[np.bool_]) -> Iterator[Asked]:
    """The test weeks one after the other, each by the model of its own, over windows that nobody empties between."""
    with test_servers(durable=True) as servers, TemporaryDirectory() as scratch:
        database = asyncio.run(DatabaseFactory(servers.admin_url).create("risk"))
        with SyncRedis.from_url(servers.redis_url) as redis:
            redis.set(WARM_KEY, "1")

        def remember(rows: NDArray[np.int64], was_asked: NDArray[np.bool_]) -> None:
            """Frauds are read by windows that end seven days ago: told at once, they are known a week later."""
            known = rows[transactions.scenario[rows] > 0]
            for kind, those in (("payments", rows[~was_asked[rows]]), ("frauds", known)):
                bodies = [body for _, body in requests_of(transactions, those)]
                uvloop.run(record_history(servers.redis_url, bodies, kind))

        nobody = np.zeros_like(sample)
        remember(days_of(transactions, weeks[0].test_day - HISTORY_DAYS, HISTORY_DAYS), nobody)
        for week in weeks:
            model_file = Path(scratch) / f"model-{week.first_day}.txt"
            model_file.write_text(week.model[0], encoding="utf-8")
            model_file.with_suffix(".json").write_text(json.dumps(week.model[1]), encoding="utf-8")
            rows = days_of(transactions, week.test_day, WEEK)
            model = {"MODEL_FILE": str(model_file)}
            with api_process(database.app_url, servers.redis_url, PACKAGED, **model) as api:
                began_s = time.perf_counter()
                answered = probabilities_of(api[1], requests_of(transactions, rows[sample[rows]]))
                yield Asked(answered, int(degraded_so_far(api[2])), time.perf_counter() - began_s)
            remember(rows, sample)


def days_of(transactions: Transactions, first_day: int, days: int) -> NDArray[np.int64]:
    return np.flatnonzero((transactions.day >= first_day) & (transactions.day < first_day + days))


def compared(transactions: Transactions, rows: Floats, week: Week, asked: Asked) -> dict[str, Any]:
    """The figures of one week, of what came back and of the same model's own outputs; known cards are left out, as the
    handbook does."""
    answered = np.array(sorted(asked.probabilities))
    raw, expected = offline_probabilities(*week.model, rows[answered])
    differing = sum(
        asked.probabilities[row] != one for row, one in zip(answered.tolist(), expected, strict=True)
    )
    is_tested = np.isin(answered, handbook.fold_of(transactions, week.first_day).test)
    fold = handbook.Fold(np.array([], dtype=np.int64), answered[is_tested])
    probabilities = np.array([asked.probabilities[row] for row in fold.test.tolist()]) / PPM
    return {
        "test_from": (STARTS_AT + timedelta(days=week.test_day)).date().isoformat(),
        "assessments": len(answered),
        "test_rows": len(fold.test),
        "test_frauds": int(np.count_nonzero(transactions.scenario[fold.test])),
        "seconds": round(asked.seconds, 1),
        "degraded": asked.degraded,
        "differing_from_offline": differing,
        "by_api": measured(transactions, fold, probabilities),
        "by_percents": measured(transactions, fold, np.floor(probabilities * 100 + 0.5)),
        "by_raw_outputs": measured(transactions, fold, raw[is_tested]),
    }


def verdict(folds: Sequence[dict[str, Any]], *, is_whole: bool) -> dict[str, Any]:
    """Means and spread over the weeks against the goals; a part of the protocol is not judged."""
    by_measure = {name: [fold["by_api"][name] for fold in folds] for name in MEASURES}
    mean = {name: float(np.mean(values)) for name, values in by_measure.items()}
    missed = [name for name in MEASURES if mean[name] < GOALS[name]]
    return {
        "mean": {name: round(value, 4) for name, value in mean.items()},
        "spread": {name: round(float(np.std(values)), 4) for name, values in by_measure.items()},
        "goals": GOALS,
        "missed": missed if is_whole else None,
    }


def table(folds: Sequence[dict[str, Any]], judged: dict[str, Any]) -> str:
    """The table of docs/risk-model.md."""
    lines = ["| test week from | AUC | average precision | CP@100 |", "|---|---|---|---|"]
    for name, values in (
        *((fold["test_from"], fold["by_api"]) for fold in folds),
        ("mean", judged["mean"]),
        ("goal", judged["goals"]),
    ):
        lines.append(f"| {name} | {values['auc']:.3f} | {values['ap']:.3f} | {values['cp100']:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=report.DIRECTORY.parent / "cache" / "handbook")
    parser.add_argument("--customers", type=int, default=5_000, help="1000 = every fifth of them")
    parser.add_argument("--weeks", type=int, default=len(FIRST_DAYS), choices=range(1, len(FIRST_DAYS) + 1))
    parser.add_argument("--train-days", type=int, default=35, choices=(7, 35))
    options = parser.parse_args()
    transactions = transactions_of(options.cache)
    if base_split(transactions) != BASE_SPLIT:
        raise SystemExit("the base split is not the handbook's")
    # The simulator rounds a few amounts to nothing, which nobody can pay: a cent, in columns as in requests.
    transactions = replace(transactions, amount_minor=np.maximum(transactions.amount_minor, 1))
    sample = transactions.customer % (5_000 // options.customers) == 0
    rows = columns_of(transactions)
    weeks = [
        Week(day, train(transactions, rows, day, options.train_days)) for day in FIRST_DAYS[: options.weeks]
    ]
    folds = []
    for week, asked in zip(weeks, stream(transactions, weeks, sample), strict=True):
        folds.append(compared(transactions, rows, week, asked))
        Console().print(folds[-1])
    judged = verdict(folds, is_whole=options.weeks == len(FIRST_DAYS) and bool(sample.all()))
    path = report.write(
        "handbook_api",
        {"train_days": options.train_days, "customers": options.customers, **judged, "weeks": folds},
    )
    Console().print(table(folds, judged), markup=False, highlight=False, soft_wrap=True)
    Console().print(f"missed: {judged['missed']}; written to {path}", markup=False, highlight=False)
    if judged["missed"] or any(fold["differing_from_offline"] or fold["degraded"] for fold in folds):
        sys.exit(1)


if __name__ == "__main__":
    main()
