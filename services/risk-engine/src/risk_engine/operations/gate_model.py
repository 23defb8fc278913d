"""Hold a new model against the one that scores now, on labelled decisions and the facts of their moment.

Nothing puts a model in the place of another by itself: MODEL_FILE does, which a person deploys. This passes first.
"""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from risk_engine.clients.model import ModelUnavailable, Scorer
from risk_engine.clients.model_trial import open_model, try_model
from risk_engine.domain.features import features_of_decision
from risk_engine.domain.model_gate import Gate, Scored, judge
from risk_engine.domain.score import SCORE_MAX
from risk_engine.domain.velocity import empty_windows
from risk_engine.operations.deps import Deps
from risk_engine.store import labelled

LOOKED_BACK = timedelta(days=180)


async def gate_model(deps: Deps, model_file: Path) -> Gate:
    """The gate for the model of a file. Raises ModelUnavailable when either model cannot score."""
    await asyncio.to_thread(try_model, model_file)
    candidate, current = open_model(model_file), deps.scorer
    if current is None:
        raise ModelUnavailable("there is no model to hold it against")
    async with deps.engine.connect() as conn:
        now = deps.clock.now()
        rows = await labelled.with_facts(conn, current.hash, now - LOOKED_BACK, now)
    bands = [band.at_least for band in deps.rules.compiled.rule_set.score_bands]
    scored = await asyncio.to_thread(lambda: [_scored(row, candidate) for row in rows])
    return await asyncio.to_thread(judge, scored, min(bands, default=SCORE_MAX))


def _scored(row: Any, candidate: Scorer) -> Scored:
    facts = (
        empty_windows() | row.facts
    )  # windows that were not kept then are empty, as they were for the model
    return Scored(row.score, candidate.score(features_of_decision(facts, candidate.features)), row.is_fraud)
