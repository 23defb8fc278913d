"""From labels to an alert: the newest against those before, of the loaded model alone."""

import random
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from platform_kit.ids import new_id
from risk_engine.domain.model_quality import SAMPLE_SIZE
from risk_engine.operations.deps import Deps
from risk_engine.operations.find_alerts import find_alerts
from risk_engine.operations.watch_quality import watch_quality
from risk_engine.store import labelled

STORE = text("""
    WITH made AS (
        INSERT INTO risk.assessment (id, merchant_id, idempotency_key, fingerprint, payment_id, decision, score,
                                     rule_set, model, occurred_at, expires_at, is_late, request, facts, outcome)
        SELECT id, 'mer_1', id, '', id, 'allow', score, '-', :model, now(), now(), false, '{}', '{}', '{"degraded": []}'
        FROM unnest(CAST(:ids AS text[]), CAST(:scores AS smallint[])) AS new (id, score)
    )
    INSERT INTO risk.label (id, payment_id, assessment_id, kind, source, event_at, labelled_at, actor)
    SELECT label, id, id, kind, 'upload', now(), now(), 'eve'
    FROM unnest(CAST(:labels AS text[]), CAST(:ids AS text[]), CAST(:kinds AS text[])) AS new (label, id, kind)
""")


async def labels(
    deps: Deps, number: int, *, is_blind: bool = False, model: str | None = None, seed: int = 1
) -> None:
    """So many decisions with labels; a blind model's scores say nothing."""
    source = random.Random(seed)
    assert deps.scorer is not None
    truths = [source.random() * 0.6 for _ in range(number)]
    frauds = [source.random() < truth for truth in truths]
    if is_blind:
        source.shuffle(truths)
    values = {
        "ids": [new_id("asm") for _ in range(number)],
        "labels": [new_id("lbl") for _ in range(number)],
        "scores": [round(truth * 100) for truth in truths],
        "kinds": ["fraud" if fraud else "legitimate" for fraud in frauds],
        "model": model or deps.scorer.hash,
    }
    async with deps.engine.begin() as conn:
        await conn.execute(STORE, values)


async def status(deps: Deps) -> list[str]:
    return [one["status"] for one in (await find_alerts(deps, None, 10, kind="model_quality"))["data"]]


async def test_a_model_that_became_blind_is_told_and_one_that_sees_again_is_well(deps: Deps) -> None:
    await labels(deps, 2 * SAMPLE_SIZE)
    assert await watch_quality(deps) == 2 * SAMPLE_SIZE
    assert await status(deps) == []
    await labels(deps, SAMPLE_SIZE, is_blind=True, seed=2)
    await watch_quality(deps)
    assert await status(deps) == ["firing"]
    await labels(deps, 2 * SAMPLE_SIZE, seed=3)
    await watch_quality(deps, now=datetime.now(UTC) + timedelta(hours=7))
    assert await status(deps) == ["resolved"]


async def test_labels_of_another_model_say_nothing_about_this_one(deps: Deps) -> None:
    await labels(deps, 2 * SAMPLE_SIZE, model="another")
    assert await watch_quality(deps) == 0


async def test_of_several_labels_of_a_payment_the_newest_counts(deps: Deps) -> None:
    await labels(deps, 1)
    async with deps.engine.begin() as conn:
        await conn.execute(
            text("""
                INSERT INTO risk.label (id, payment_id, assessment_id, kind, source, event_at, labelled_at, actor)
                SELECT :id, payment_id, assessment_id, 'fraud', 'dispute', now(), now(), 'bank' FROM risk.label
            """),
            {"id": new_id("lbl")},
        )
        assert deps.scorer is not None
        (found,) = await labelled.newest(conn, deps.scorer.hash, datetime.now(UTC), 10)
    assert found.is_fraud


async def test_a_label_that_comes_late_with_an_earlier_time_is_the_earlier_one(deps: Deps) -> None:
    """The bank said fraud a minute ago; a list that is loaded now tells what was said the week before."""
    await labels(deps, 1)
    assert deps.scorer is not None
    now = datetime.now(UTC)
    add = text("""
        INSERT INTO risk.label (id, payment_id, assessment_id, kind, source, event_at, labelled_at, actor)
        SELECT :id, payment_id, assessment_id, CAST(:kind AS text), 'dispute', CAST(:at AS timestamptz),
               CAST(:at AS timestamptz), 'bank' FROM risk.label LIMIT 1
    """)
    async with deps.engine.begin() as conn:
        for kind, at in (("fraud", now), ("legitimate", now - timedelta(days=7))):
            await conn.execute(add, {"id": new_id("lbl"), "kind": kind, "at": at})
        (found,) = await labelled.newest(conn, deps.scorer.hash, now + timedelta(minutes=1), 10)
        (then,) = await labelled.newest(conn, deps.scorer.hash, now - timedelta(days=1), 10)
    assert (found.is_fraud, then.is_fraud) == (True, False)
