"""Decide again what was decided, from what was stored, and compare: what cannot be repeated explains nothing.

Everything that a decision was made of stands in its row: facts, faults, the hashes of rules and model. No rule reads a
clock, so the same row gives the same answer for ever. Left out and counted are rules whose time was up and sets that
are not stored; the score of a model that this process has not loaded is taken as it was.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from risk_engine.clients.cel import BUDGET_SPENT, CompiledRuleSet
from risk_engine.clients.model import ModelUnavailable, Scorer
from risk_engine.domain.decision import Decision
from risk_engine.domain.failure_policy import Band, Fault
from risk_engine.domain.features import features_of_decision
from risk_engine.domain.rule_documents import InvalidRuleSet
from risk_engine.domain.rules import Evaluation, decide
from risk_engine.domain.score import Estimate
from risk_engine.domain.snoozes import without
from risk_engine.operations.compiled_sets import compiled_set
from risk_engine.operations.deps import Deps
from risk_engine.store import assessments

SHOWN_MAX = 20


async def replay_decisions(deps: Deps, after: str | None, limit: int) -> dict[str, Any]:
    """Replay up to `limit` stored decisions with ids above `after`: how many came out the same, those that did not, and
    the id to go on from (None at the end)."""
    async with deps.engine.connect() as conn:
        rows = await assessments.stored_slice(conn, after or "", limit)
        sets: dict[str, CompiledRuleSet | None] = {}
        for name in {row.rule_set for row in rows}:
            try:
                sets[name] = await compiled_set(deps, conn, name)
            except InvalidRuleSet:
                sets[name] = None
    # Scores on the loop, for the scorer is the one that live decisions use and not thread-safe (3 us a row); the rules
    # beside it, so that live decisions go on.
    estimates = [_estimate(row, deps.scorer) for row in rows]
    found = await asyncio.to_thread(
        lambda: [_replay(row, sets[row.rule_set], one) for row, one in zip(rows, estimates, strict=True)]
    )
    differing = [one for one in found if one["differs"]]
    return {
        "object": "replay",
        "replayed": len(rows),
        "identical": sum(not one["differs"] and not one["left_out"] for one in found),
        "left_out": dict(Counter(one["left_out"] for one in found if one["left_out"])),
        "differing": len(differing),
        "differences": differing[:SHOWN_MAX],
        "next_after": rows[-1].id if len(rows) == limit else None,
    }


def _replay(row: Any, compiled: CompiledRuleSet | None, estimate: Estimate | None) -> dict[str, Any]:
    """{"id", "differs": member -> [stored, replayed], "left_out": why or None}."""
    stored: Mapping[str, Any] = row.outcome
    if compiled is None:
        return {"id": row.id, "differs": {}, "left_out": "rule_set_unknown"}
    if any(error["error"] == BUDGET_SPENT for error in stored["errors"]):
        return {"id": row.id, "differs": {}, "left_out": "time_was_up"}
    faults = [Fault(name) for name in stored["degraded"] if name != Fault.RULE_ERROR]
    score = row.score if row.model else None
    evaluation = (
        Evaluation(skipped=tuple(one.rule.id for one in compiled.rules))
        if Fault.DEADLINE in faults
        else compiled.evaluate(
            row.facts,
            has_velocity=Fault.VELOCITY not in faults,
            has_score=score is not None,
            clock=lambda: 0.0,  # nobody waits: the rules may take what they take
        )
    )
    evaluation = without(evaluation, stored.get("snoozed", ()))
    outcome = decide(compiled.rule_set, evaluation, score, Band(row.facts["amount_band"]), faults)
    is_drawn = stored.get("let_through", False) and outcome.decision is Decision.BLOCK
    pairs: dict[str, tuple[Any, Any]] = {
        "decision": (row.decision, Decision.ALLOW if is_drawn else outcome.decision),
        "reasons": (_codes(stored["reasons"]), [reason.code for reason in outcome.reasons]),
        "hits": (stored["hits"], [rule.id for rule in evaluation.hits]),
        "skipped": (stored["skipped"], list(evaluation.skipped)),
        "degraded": (stored["degraded"], [fault.value for fault in outcome.degraded]),
    }
    if estimate is not None:
        pairs |= {"score": (row.score, estimate.score)}
        if "probability_ppm" in stored:  # decisions made before it was kept have the score alone
            pairs |= {"probability_ppm": (stored["probability_ppm"], estimate.probability_ppm)}
    differs = {name: list(pair) for name, pair in pairs.items() if pair[0] != pair[1]}
    return {"id": row.id, "differs": differs, "left_out": None}


def _estimate(row: Any, scorer: Scorer | None) -> Estimate | None:
    """The probability again, when this process has the model that gave it."""
    if row.model is None or scorer is None or row.model != scorer.hash:
        return None
    try:
        return scorer.estimate(features_of_decision(row.facts, scorer.features))
    except ModelUnavailable:
        return Estimate(-1, -1)  # it answered then and does not now: that differs


def _codes(reasons: Sequence[Mapping[str, str]]) -> list[str]:
    return [reason["code"] for reason in reasons]
