"""A candidate from stored decisions: what it learns from, what is written, who publishes it (nobody)."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from risk_rig import a_document, facts_of
from sqlalchemy import text

from platform_kit.clock import FixedClock
from platform_kit.ids import earliest_id
from risk_engine.clients.cel import compile_document
from risk_engine.clients.model import PACKAGED, ModelUnavailable
from risk_engine.clients.model_trial import open_model
from risk_engine.domain.retraining import Period, TooLittle, periods_of
from risk_engine.operations.deps import Deployed, Deps, RulesInUse
from risk_engine.operations.retrain_model import retrain_model
from risk_engine.store import labelled

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAYS = 114  # 60 to train on, 20 to calibrate, 20 to measure, two weeks for labels
ADD = text("""
    INSERT INTO risk.assessment (id, merchant_id, idempotency_key, fingerprint, payment_id, decision, score, rule_set,
                                 occurred_at, expires_at, created_at, is_late, request, facts, outcome)
    SELECT id, 'mer_1', id, '', 'pay_' || id, decision, 0, 'x', at, at, at, false, '{}', CAST(facts AS jsonb),
           CAST(outcome AS jsonb)
    FROM unnest(CAST(:id AS text[]), CAST(:decision AS text[]), CAST(:at AS timestamptz[]), CAST(:facts AS text[]),
                CAST(:outcome AS text[])) AS a (id, decision, at, facts, outcome)
""")
SAY = text("""
    INSERT INTO risk.label (id, payment_id, assessment_id, kind, source, event_at, labelled_at, actor)
    SELECT 'lbl_' || id || at, 'pay_' || id, id, kind, 'upload', at, at, 'ada'
    FROM unnest(CAST(:id AS text[]), CAST(:kind AS text[]), CAST(:at AS timestamptz[])) AS l (id, kind, at)
""")


@pytest.fixture
def then(deps: Deps) -> Deps:
    return replace(deps, clock=FixedClock(NOW))


async def decided(deps: Deps, rows: list[tuple[str, datetime, str, dict[str, Any], dict[str, Any]]]) -> None:
    """(id, when, decision, facts, outcome)."""
    ids, at, decisions, facts, outcomes = zip(*rows, strict=True)
    values = {
        "id": list(ids),
        "at": list(at),
        "decision": list(decisions),
        "facts": [orjson.dumps(one).decode() for one in facts],
        "outcome": [orjson.dumps({"degraded": []} | one).decode() for one in outcomes],
    }
    async with deps.engine.begin() as conn:
        await conn.execute(ADD, values)


async def said(deps: Deps, *labels: tuple[str, str, datetime]) -> None:
    ids, kinds, at = zip(*labels, strict=True)
    async with deps.engine.begin() as conn:
        await conn.execute(SAY, {"id": list(ids), "kind": list(kinds), "at": list(at)})


def an_id(at: datetime, number: int = 0) -> str:
    return f"{earliest_id('asm', at)[:-6]}{number:06}"


async def a_history(deps: Deps) -> None:
    """9,000 decisions over the period: a fraud is many payments of the customer within a day, which the packaged model
    does not hold against anybody, and its label comes three days later."""
    draw, rows, labels = Random(11), list[Any](), list[Any]()
    since = periods_of(NOW, DAYS).train.since
    for number in range(9_000):
        at = since + timedelta(days=DAYS) * number / 9_000
        is_fraud = draw.random() < 0.05
        count = draw.randrange(9, 20) if is_fraud else draw.randrange(1, 10)
        facts = facts_of(
            customer_count_1d=count, customer_count_7d=count + 3, customer_count_30d=count + 9,
            customer_sum_1d=count * 1250, customer_sum_7d=count * 1250 + 3750, customer_sum_30d=count * 1250 + 11_250,
        )  # fmt: skip
        rows.append((an_id(at, number), at, "allow", facts, {}))
        if is_fraud:
            labels.append((an_id(at, number), "fraud", at + timedelta(days=3)))
    await decided(deps, rows)
    await said(deps, *labels)


async def test_a_candidate_is_trained_carded_judged_and_left_for_a_person(then: Deps, tmp_path: Path) -> None:
    await a_history(then)
    before = then.scorer
    silent = replace(then, rules=RulesInUse(Deployed(compile_document(a_document(score_bands=[])))))
    made = await retrain_model(silent, tmp_path / "new", days=DAYS)
    assert made.gate.passes, made.gate.refused
    found = made.gate.figures["average_precision"]
    assert found["candidate"] > found["current"] + 0.2
    assert sorted(one.name for one in (tmp_path / "new").iterdir()) == [
        "card.md",
        "gate.json",
        "model.json",
        "model.txt",
    ]
    candidate = open_model(tmp_path / "new" / "model.txt")
    assert candidate.hash == made.hash
    assert made.hash in (tmp_path / "new" / "card.md").read_text()
    assert json.loads((tmp_path / "new" / "gate.json").read_text())["passes"] is True
    trained = json.loads((tmp_path / "new" / "model.json").read_text())["trained_on"]
    assert trained["train_days"] == [0, 60]
    assert 4_500 < trained["train_rows"] < 5_000
    # The same candidate where scores lead to reviews: it finds frauds that nobody found, so many more are looked at.
    refused = (await retrain_model(then, tmp_path / "again", days=DAYS)).gate
    assert [why.split(" of ")[0] for why in refused.refused] == [
        f"it alerts on {refused.figures['alert_share']['candidate']:.2%}"
    ]
    assert (tmp_path / "again" / "model.txt").exists()
    # Nothing was deployed: what scores is the same object, and the packaged file says what it said.
    assert then.scorer is before
    assert open_model(PACKAGED).hash == getattr(before, "hash", None)
    async with then.engine.connect() as conn:
        assert await conn.scalar(text("SELECT count(*) FROM risk.rule_set_publication")) == 0


async def test_a_period_that_was_cut_says_where(then: Deps, tmp_path: Path) -> None:
    await a_history(then)
    await retrain_model(then, tmp_path, days=DAYS, decisions_max=1_700)
    trained = json.loads((tmp_path / "model.json").read_text())["trained_on"]
    assert trained["train_rows"] == 1_700
    assert trained["train_days"] == [0, 21]  # of 60: 79 decisions a day
    assert trained["test_days"] == [94, 114]


async def test_only_what_was_known_then_is_learned(then: Deps) -> None:
    at = NOW - timedelta(days=60)
    rows = [(an_id(at, n), at, "allow", facts_of(), {}) for n in range(4)]
    await decided(then, rows)
    late, early = at + timedelta(days=20), at + timedelta(days=2)
    await said(
        then,
        (an_id(at, 0), "fraud", early),
        (an_id(at, 1), "fraud", late),
        (an_id(at, 2), "fraud", early),
        (an_id(at, 2), "legitimate", late),  # the dispute was won
    )

    async def frauds(known_at: datetime) -> list[bool]:
        period = Period(at - timedelta(days=1), at + timedelta(days=1), known_at)
        async with then.engine.connect() as conn:
            return [row.is_fraud for row in await labelled.of_period(conn, period, "", 10)]

    assert await frauds(at + timedelta(days=7)) == [True, False, True, False]
    assert await frauds(NOW) == [True, True, False, False]


async def test_blocks_have_no_truth_and_blind_decisions_no_inputs(then: Deps) -> None:
    at = NOW - timedelta(days=60)
    outcomes: list[tuple[str, dict[str, Any]]] = [
        ("allow", {}),
        ("block", {}),  # left out
        ("block", {}),  # labelled
        ("allow", {"let_through": True}),
        ("review", {"degraded": ["velocity"]}),  # left out
        ("review", {"degraded": ["commit_late"]}),
    ]
    rows = [(an_id(at, n), at, decision, facts_of(), more) for n, (decision, more) in enumerate(outcomes)]
    await decided(then, rows)
    await said(then, (an_id(at, 2), "fraud", at + timedelta(days=1)))
    async with then.engine.connect() as conn:
        period = Period(at - timedelta(days=1), at + timedelta(days=1), NOW)
        first = await labelled.of_period(conn, period, "", 2)
        rest = await labelled.of_period(conn, period, first[-1].id, 10)
    assert [row.id for row in (*first, *rest)] == [an_id(at, n) for n in (0, 2, 3, 5)]


async def test_too_little_trains_nothing_and_writes_nothing(then: Deps, tmp_path: Path) -> None:
    with pytest.raises(TooLittle, match="0 decisions with 0 frauds"):
        await retrain_model(then, tmp_path / "new", days=DAYS)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ModelUnavailable):
        await retrain_model(replace(then, scorer=None), tmp_path / "new", days=DAYS)
