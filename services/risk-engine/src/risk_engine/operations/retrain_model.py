"""Train a candidate on the platform's own decisions and what became of them, and hold it against the model that scores
now: `risk-engine retrain --out DIR`.

It writes the model, its metadata, its card and the gate's answer into a directory, and that is all: MODEL_FILE decides
what scores, and a person deploys it. The inputs are the stored facts, so training and decisions cannot differ.

What was blocked is left out: nobody knows what it would have become. The small share of blocks that is let through
(docs/risk-cases.md) and what a person labelled are what is known of such payments. Decisions without windows are left
out, too: they did not see the payer.
"""

import asyncio
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from risk_engine.clients.model import ModelUnavailable, Scorer, model_hash
from risk_engine.clients.model_trial import open_model, try_model
from risk_engine.domain.features import features_of_decision
from risk_engine.domain.model_card import LIMITS_OF_OWN, model_card
from risk_engine.domain.model_gate import Gate, Scored, judge
from risk_engine.domain.retraining import DAYS, SILENT_DAYS, Period, Periods, periods_of, require_enough
from risk_engine.domain.score import SCORE_MAX
from risk_engine.domain.velocity import empty_windows
from risk_engine.operations.deps import Deps
from risk_engine.operations.train_model import Sample, fit
from risk_engine.store import labelled

SLICE: Final = 1_000
DECISIONS_MAX: Final = (
    500_000  # of a period, the oldest: 9 numbers each, and minutes of one core to grow trees on
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What was made, and whether it may take the place of the one that scores now."""

    hash: str
    gate: Gate


async def retrain_model(
    deps: Deps,
    out: Path,
    *,
    days: int = DAYS,
    silent_days: int = SILENT_DAYS,
    decisions_max: int = DECISIONS_MAX,
) -> Candidate:
    """Train on the last `days`, write into `out`, and judge. Raises TooLittle, or ModelUnavailable without a model to
    hold the candidate against."""
    current = deps.scorer
    if current is None:
        raise ModelUnavailable("there is no model to hold it against")
    periods = periods_of(deps.clock.now(), days, silent_days)
    data = hashlib.sha256()
    (train, trained), (calibration, calibrated), (test, tested) = [
        await _sample(deps, period, current.features, data, decisions_max)
        for period in (periods.train, periods.calibration, periods.test)
    ]
    for sample in (train, calibration, test):
        require_enough(len(sample.rows), int(sample.labels.sum()))
    trained_on = _trained_on(Periods(trained, calibrated, tested), data.hexdigest(), train)
    text, metadata = await asyncio.to_thread(fit, train, calibration, test, current.features, trained_on)
    file = await asyncio.to_thread(_write, out, text, metadata)
    await asyncio.to_thread(try_model, file)
    bands = [band.at_least for band in deps.rules.compiled.rule_set.score_bands]
    gate = await asyncio.to_thread(_judged, current, open_model(file), test, min(bands, default=SCORE_MAX))
    answer = {
        "passes": gate.passes,
        "refused": gate.refused,
        "labelled": gate.labelled,
        "frauds": gate.frauds,
    }
    await asyncio.to_thread(
        (out / "gate.json").write_text, json.dumps(answer | gate.figures, indent=2) + "\n", encoding="utf-8"
    )
    return Candidate(model_hash(text, metadata), gate)


async def _sample(
    deps: Deps, period: Period, names: tuple[str, ...], data: Any, decisions_max: int
) -> tuple[Sample, Period]:
    """The period's decisions as rows of `names`, and 1 for those that were fraud; each is added to the hash `data`. The
    period comes back as far as it was read."""
    rows, frauds, after = list[list[float]](), list[int](), ""
    while True:
        async with deps.engine.connect() as conn:
            found = await labelled.of_period(conn, period, after, min(SLICE, decisions_max - len(rows)))
        for row in found:
            rows.append(features_of_decision(empty_windows() | row.facts, names))
            frauds.append(int(row.is_fraud))
            data.update(f"{row.id}:{int(row.is_fraud)};".encode())
        if len(rows) == decisions_max:
            period = replace(period, until=found[-1].created_at)
        if len(found) < SLICE or len(rows) == decisions_max:
            break
        after = found[-1].id
    return Sample(np.array(rows, dtype=np.float64), np.array(frauds, dtype=np.int64)), period


def _trained_on(periods: Periods, data_hash: str, train: Sample) -> dict[str, Any]:
    start = periods.train.since

    def days(period: Period) -> list[int]:
        return [(period.since - start).days, (period.until - start).days]

    return {
        "source": "decisions of this platform, as they were made and labelled",
        "data_sha256": data_hash,
        "starts_on": start.date().isoformat(),
        "train_days": days(periods.train),
        "calibration_days": days(periods.calibration),
        "test_days": days(periods.test),
        "train_rows": len(train.rows),
        "train_frauds": int(train.labels.sum()),
    }


def _write(out: Path, text: str, metadata: dict[str, Any]) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    file = out / "model.txt"
    file.write_text(text, encoding="utf-8")
    file.with_suffix(".json").write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    card = model_card(
        metadata, model_hash(text, metadata), made_by="risk-engine retrain", limits=LIMITS_OF_OWN
    )
    (out / "card.md").write_text(card, encoding="utf-8")
    return file


def _judged(current: Scorer, candidate: Scorer, test: Sample, alert_from: int) -> Gate:
    """Both on the same payments of the last period, of which neither has seen one."""
    scored = [
        Scored(current.score(row), candidate.score(row), bool(is_fraud))
        for row, is_fraud in zip(test.rows.tolist(), test.labels.tolist(), strict=True)
    ]
    return judge(scored, alert_from)
