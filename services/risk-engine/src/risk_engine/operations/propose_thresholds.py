"""Propose where the score should begin to review, challenge and block, from what mistakes cost and what happened.

A proposal applies nothing: it comes as score bands (for everybody) or rules (for a list of merchants), to be put into a
rule set that is checked, tried and approved as any other.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from platform_kit.problems import NotFound
from risk_engine.domain.decision import Decision
from risk_engine.domain.lists import ListType
from risk_engine.domain.thresholds import LADDER, Costs, CostTable, Known
from risk_engine.operations.backtest_rule_set import PAYMENTS_MAX, TooManyPayments
from risk_engine.operations.deps import Deps
from risk_engine.store import backtests, lists

SLICE = 2_000
ASKED_MAX = PAYMENTS_MAX // 10  # it is answered while the caller waits

TEXTS: Mapping[Decision, str] = {
    Decision.REVIEW: "From this score on a person's look costs less than the losses that it saves.",
    Decision.CHALLENGE: "From this score on a challenge costs less than the losses that it saves.",
    Decision.BLOCK: "From this score on a refusal costs less than the losses that it saves.",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. A payment without a label counts as legitimate once it is `silent_days` old (None: it does not
    count), for by then a dispute would have come. `may_block` lets the score refuse by itself."""

    costs: Costs
    since: datetime
    until: datetime
    merchants: str | None
    silent_days: int | None
    may_block: bool


async def propose_thresholds(deps: Deps, question: Question) -> dict[str, Any]:
    """The report of `domain/thresholds.py` with the bands or rules that it comes to. Raises NotFound for a list of
    merchants that is none, TooManyPayments."""
    now = deps.clock.now()
    async with deps.engine.connect() as conn:
        merchants = await _merchants(conn, question.merchants)
        number = await backtests.count(conn, question.since, question.until, ASKED_MAX)
    if number > ASKED_MAX:
        raise TooManyPayments(f"It holds more than the {ASKED_MAX:,} decisions that are looked at.")
    table, after = CostTable(question.costs), ""
    while True:
        async with deps.engine.connect() as conn:
            rows = await backtests.scored_slice(conn, after, question.since, question.until, SLICE)
            known = await backtests.frauds(conn, rows, now)
        mine = [row for row in rows if merchants is None or row.merchant_id in merchants]
        await asyncio.to_thread(table.add, _known(mine, known, question.silent_days, now))
        if len(rows) < SLICE:
            break
        after = rows[-1].id
    allowed = LADDER if question.may_block else LADDER[:-1]
    report = table.as_report(allowed)
    return {"object": "threshold_proposal", "costs": asdict(question.costs), **report} | _as_rules(
        report["thresholds"], question.merchants
    )


async def _merchants(conn: Any, name: str | None) -> frozenset[str] | None:
    if name is None:
        return None
    if await lists.type_of(conn, name) is not ListType.MERCHANT:
        raise NotFound("No list of merchants has this name.")
    return frozenset(await lists.current_entities(conn, name))


def _known(
    rows: Sequence[Any], known: Mapping[str, bool], silent_days: int | None, now: datetime
) -> list[Known]:
    silent_since = None if silent_days is None else now - timedelta(days=silent_days)
    found = []
    for row in rows:
        is_fraud = known.get(row.id)
        if is_fraud is None and silent_since is not None and row.created_at < silent_since:
            is_fraud = False
        if is_fraud is not None:
            found.append(Known(row.score, row.amount, is_fraud, Decision(row.decision)))
    return found


def _as_rules(thresholds: Mapping[str, int], merchants: str | None) -> dict[str, Any]:
    """Bands of a rule document for everybody, rules for a list of merchants."""
    bands = [
        {
            "at_least": at,
            "then": decision,
            "code": f"score_costs_{decision}",
            "text": TEXTS[Decision(decision)],
        }
        for decision, at in thresholds.items()
    ]
    if merchants is None:
        return {"score_bands": bands, "rules": []}
    return {
        "score_bands": [],
        "rules": [
            {
                "id": f"{merchants}_score_{band['then']}"[:64],
                "when": f"list_{merchants} && score >= {band['at_least']}",
                "then": band["then"],
                "code": band["code"],
                "text": band["text"],
            }
            for band in bands
        ],
    }
