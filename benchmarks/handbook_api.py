"""`make bench-handbook-api`: the handbook's test week through the deployed decision API.

A model of the features that the online windows know is trained on days before the test week, calibrated on the week
before those, and given to a real `risk-engine api` as MODEL_FILE. Then 37 days of all payments and their known frauds
go into the windows, and the test week's payments of a sample of customers are asked about, in the order of events, by
POST /v1/assessments/batch. The figures are of the scores that came back. Ends with exit code 1 when one of them is not
what the columns give, or when a decision was degraded: then the online features are not those of the training.

What it lacks against `make bench-handbook`: the longer history (median of all earlier amounts, odd amounts lately,
since when a terminal's frauds are known), for which there are no windows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import replace
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
from benchmarks.handbook import BASE_SPLIT, CHOICES, FIRST_DAYS, FIXED, base_split, data_of
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
from risk_engine.domain.ranking import area_under_curve, average_precision
from risk_engine.domain.score import Calibration, estimate_of
from risk_engine.domain.simulator import DAY_S, STARTS_AT, Transactions
from risk_engine.operations.train_model import fit_calibration

Floats = NDArray[np.float64]

CHOICE, ROUNDS = CHOICES[2], 220  # what `make bench-handbook` chose for ratios on its validation weeks
BATCH_MAX = 64
RECORDED_AT_ONCE = 128
HISTORY_DAYS = 37  # of the longest window
NAMES = tuple(name for name in FEATURES if not name.startswith(("amount_ratio", "mean_ratio")))


def columns_of(transactions: Transactions) -> Floats:
    """Rows of NAMES for all transactions, by the arithmetic of `domain/features.py` over columns."""
    amount, customers = transactions.amount_minor, EntityHistory(transactions.customer, transactions.at_s)
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
        terminals, delay_s = (
            EntityHistory(transactions.terminal, transactions.at_s),
            handbook.LABEL_DELAY * DAY_S,
        )
        frauds = (transactions.scenario > 0).astype(np.int64)
        seen = terminals.count(days * DAY_S, delay_s=delay_s)
        columns[f"terminal_count_{days}d"] = seen.astype(np.float64)
        columns[f"terminal_risk_{days}d"] = terminals.sum(frauds, days * DAY_S, delay_s=delay_s) / np.maximum(
            seen, 1
        )
    return np.column_stack([columns[name] for name in NAMES])


def train(transactions: Transactions, rows: Floats, train_days: int) -> tuple[str, dict[str, Any]]:
    """Model text and metadata, as the service reads them; the calibration is fitted on the week before training."""
    labels = (transactions.scenario > 0).astype(np.float64)
    fold = handbook.fold_of(transactions, FIRST_DAYS[0], train_days=train_days)
    data = lightgbm.Dataset(rows[fold.train], labels[fold.train], feature_name=list(NAMES))
    booster = lightgbm.train({**FIXED, **CHOICE}, data, num_boost_round=ROUNDS)
    first_day = FIRST_DAYS[0] + WEEK - train_days
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


def scores_of(port: int, requests: Iterator[tuple[int, dict[str, Any]]]) -> dict[int, int]:
    """Row -> the probability that the API answered, in millionths: whole percents would tie what a day is ranked by."""
    scores: dict[int, int] = {}
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
            scores[row] = answered["assessment"]["probability_ppm"]
    return scores


def offline_scores(text: str, metadata: dict[str, Any], rows: Floats) -> tuple[Floats, list[int]]:
    """What the same model says of the columns: raw, and as the API says it, in millionths."""
    raw = np.asarray(lightgbm.Booster(model_str=text).predict(rows, num_threads=1))
    knots = metadata["calibration"]
    calibration = Calibration(tuple(knots["raw"]), tuple(knots["probability"]))
    return raw, [estimate_of(calibration, float(value)).probability_ppm for value in raw]


def stream(transactions: Transactions, model: tuple[str, dict[str, Any]], sample: NDArray[np.bool_]) -> Any:
    """(scores by row, degraded decisions, seconds of the test week)."""
    test_day = FIRST_DAYS[0] + 2 * WEEK
    history = np.flatnonzero((transactions.day >= test_day - HISTORY_DAYS) & (transactions.day < test_day))
    week = np.flatnonzero(sample & (transactions.day >= test_day) & (transactions.day < test_day + WEEK))
    with test_servers(durable=True) as servers, TemporaryDirectory() as scratch:
        model_file = Path(scratch) / "model.txt"
        model_file.write_text(model[0], encoding="utf-8")
        model_file.with_suffix(".json").write_text(json.dumps(model[1]), encoding="utf-8")
        database = asyncio.run(DatabaseFactory(servers.admin_url).create("risk"))
        with SyncRedis.from_url(servers.redis_url) as redis:
            redis.set(WARM_KEY, "1")
        known = history[transactions.scenario[history] > 0]
        for kind, rows in (("payments", history), ("frauds", known)):
            bodies = [body for _, body in requests_of(transactions, rows)]
            uvloop.run(record_history(servers.redis_url, bodies, kind))
        with api_process(database.app_url, servers.redis_url, PACKAGED, MODEL_FILE=str(model_file)) as api:
            began_s = time.perf_counter()
            scores = scores_of(api[1], requests_of(transactions, week))
            return scores, degraded_so_far(api[2]), time.perf_counter() - began_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=report.DIRECTORY.parent / "cache" / "handbook")
    parser.add_argument("--customers", type=int, default=5_000, help="1000 = every fifth of them")
    parser.add_argument("--train-days", type=int, default=35, choices=(7, 35))
    options = parser.parse_args()
    transactions = data_of(options.cache)[0]
    if base_split(transactions) != BASE_SPLIT:
        raise SystemExit("the base split is not the handbook's")
    # The simulator rounds a few amounts to nothing, which nobody can pay: a cent, in columns as in requests.
    transactions = replace(transactions, amount_minor=np.maximum(transactions.amount_minor, 1))
    sample = transactions.customer % (5_000 // options.customers) == 0
    rows = columns_of(transactions)
    model = train(transactions, rows, options.train_days)
    scores, degraded, seconds = stream(transactions, model, sample)
    asked = np.array(sorted(scores))
    raw, expected = offline_scores(*model, rows[asked])
    differing = sum(scores[row] != score for row, score in zip(asked.tolist(), expected, strict=True))
    known = np.isin(asked, handbook.fold_of(transactions, FIRST_DAYS[0]).test)  # known cards are left out
    labels = (transactions.scenario[asked][known] > 0).astype(np.float64)
    answered = np.array([scores[row] for row in asked.tolist()], dtype=np.float64)[known]
    figures = {
        "customers": len(np.unique(transactions.customer[sample])),
        "assessments": len(asked),
        "test_rows": int(known.sum()),
        "test_frauds": int(labels.sum()),
        "seconds": round(seconds, 1),
        "degraded": degraded,
        "scores_other_than_offline": differing,
        "by_api": {
            "auc": round(area_under_curve(answered, labels), 4),
            "ap": round(average_precision(answered, labels), 4),
        },
        "by_columns_unrounded": {
            "auc": round(area_under_curve(raw[known], labels), 4),
            "ap": round(average_precision(raw[known], labels), 4),
        },
        "train_days": options.train_days,
        "lacks": "the longer history of bench-handbook: no windows for it",
    }
    path = report.write("handbook_api", figures)
    Console().print(figures)
    Console().print(f"written to {path}")
    if differing or degraded:
        sys.exit(1)


if __name__ == "__main__":
    main()
