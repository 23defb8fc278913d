"""Try a rule set on stored decisions: asked for by a person, worked on by a worker, slice by slice."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from platform_kit.ids import new_id
from platform_kit.logging import get_logger
from platform_kit.problems import NotFound, Problem
from risk_engine.clients.cel import CompiledRuleSet
from risk_engine.domain.backtest import Judged, Tally
from risk_engine.domain.decision import Decision
from risk_engine.domain.facts import FACTS, sized_facts
from risk_engine.domain.failure_policy import Fault
from risk_engine.domain.rule_documents import InvalidRuleSet
from risk_engine.domain.rules import decide
from risk_engine.domain.snoozes import without
from risk_engine.domain.staff import Actor
from risk_engine.operations.compiled_sets import compiled_set
from risk_engine.operations.deps import Deps
from risk_engine.operations.reference_currency import require_one_currency
from risk_engine.store import backtests, rule_sets
from risk_engine.store.backtests import Claimed

SLICE = 2_000  # rows judged at once: some 0.1 s beside the worker's loop
PAYMENTS_MAX = 5_000_000  # about four minutes of a core, within a task's time

log = get_logger(__name__)


class TooManyPayments(Problem):
    status, code, title = 422, "too-many-payments", "The time is too long for one backtest"


async def ask_for_backtest(
    deps: Deps, rule_set: str, since: datetime, until: datetime, by: Actor
) -> dict[str, Any]:
    """A queued backtest of a saved set over decisions stored in [since, until). Raises NotFound, TooManyPayments,
    OtherCurrency."""
    async with deps.engine.begin() as conn:
        document = await rule_sets.document(conn, rule_set)
        if document is None:
            raise NotFound("No rule set has this hash; save it first.")
        await require_one_currency(conn, document)
        number = await backtests.count(conn, since, until, PAYMENTS_MAX)
        if number > PAYMENTS_MAX:
            raise TooManyPayments(
                f"It holds {number:,} decisions, at most {PAYMENTS_MAX:,} are tried at once."
            )
        made = new_id("btr")
        await backtests.add(conn, made, rule_set, since, until, by.name)
        return await backtests.find(conn, made) or {}


async def get_backtest(deps: Deps, backtest_id: str) -> dict[str, Any]:
    """A backtest with its report when it is done. Raises NotFound."""
    async with deps.engine.connect() as conn:
        found = await backtests.find(conn, backtest_id)
    if found is None:
        raise NotFound("No backtest has this id.")
    return found


async def list_backtests(deps: Deps, rule_set: str | None, limit: int) -> Sequence[dict[str, Any]]:
    """The newest backtests."""
    async with deps.engine.connect() as conn:
        return await backtests.newest(conn, rule_set, limit)


async def run_backtests(deps: Deps) -> int:
    """Run what is queued, one after the other; returns how many. A crash half way leaves one that is begun anew."""
    ran = 0
    while True:
        async with deps.engine.begin() as conn:
            claimed = await backtests.claim(conn)
        if claimed is None:
            return ran
        await _run(deps, claimed)
        ran += 1


async def _run(deps: Deps, claimed: Claimed) -> None:
    began_s, known_at = time.perf_counter(), deps.clock.now()
    async with deps.engine.begin() as conn:
        try:
            compiled = await compiled_set(deps, conn, claimed.rule_set)
        except InvalidRuleSet as error:
            await backtests.finish(conn, claimed.id, None, f"it does not compile here: {error}"[:500])
            return
        total = await backtests.count(conn, claimed.since, claimed.until, PAYMENTS_MAX)
    tally, after = Tally(), ""
    while compiled is not None:
        async with deps.engine.begin() as conn:
            rows = await backtests.slice_of(conn, after, claimed.since, claimed.until, SLICE)
            known = await backtests.frauds(conn, rows, known_at)
            done = tally.payments + sum(tally.left_out.values()) + len(rows)
            if not await backtests.progress(conn, claimed.id, done, max(total, done)):
                return  # another worker has it: we were thought dead
        await asyncio.to_thread(_judge_all, tally, compiled, rows, known)
        if len(rows) < SLICE:
            break
        after = rows[-1].id
    report = dict(tally.as_report()) | {"took_s": round(time.perf_counter() - began_s, 3)}
    async with deps.engine.begin() as conn:
        await backtests.finish(conn, claimed.id, report)
    log.info("backtest done", backtest=claimed.id, rule_set=claimed.rule_set, payments=tally.payments)


def _judge_all(
    tally: Tally, compiled: CompiledRuleSet, rows: Sequence[Any], known: Mapping[str, bool]
) -> None:
    tally.add(judge(compiled, row, known.get(row.id)) for row in rows)


def judge(compiled: CompiledRuleSet, row: Any, is_fraud: bool | None) -> Judged:
    """What the set would have decided about a stored payment, from the facts of its moment.

    A fact that was not recorded then has its default. Amounts are sized by this set's own bands and rates. Lists count
    as they were recorded: one that the deciding rules did not name says no. A rule that was snoozed for the payer says
    nothing, and a block that was let through is the block that the rules wanted.
    """
    facts, band = sized_facts(compiled.rule_set, orjson.loads(row.facts))
    for name in compiled.names - facts.keys():
        facts[name] = FACTS.get(name, bool)()
    faults = [Fault(name) for name in row.degraded if name not in _NOT_OF_THE_FACTS]
    evaluation = compiled.evaluate(
        facts,
        has_velocity=Fault.VELOCITY not in faults,
        has_score=row.has_model,
        clock=lambda: 0.0,  # nobody waits
    )
    evaluation = without(evaluation, row.snoozed or ())
    score = row.score if row.has_model else None
    outcome = decide(compiled.rule_set, evaluation, score, band, faults)
    return Judged(
        was=Decision.BLOCK if row.is_let_through else Decision(row.decision),
        would=outcome.decision,
        amount_minor=int(facts["amount_reference_minor"]),
        is_fraud=is_fraud,
        hits=tuple(rule.id for rule in evaluation.hits),
        score=score,
    )


# Faults of the rules or of the moment: the set that is tried has its own chance.
_NOT_OF_THE_FACTS = frozenset({Fault.RULE_ERROR.value, Fault.DEADLINE.value, Fault.COMMIT_LATE.value})
