"""Drift from stored decisions: the first sample is the reference, a change upstream becomes an alert."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from alert_rig import EVE
from risk_rig import facts_of
from sqlalchemy import text

from platform_kit.ids import new_id
from risk_engine.domain.drift import SAMPLE_SIZE
from risk_engine.operations.deps import Deps
from risk_engine.operations.find_alerts import find_alerts
from risk_engine.operations.watch_drift import NothingToCompare, pin_reference, read_drift, watch_drift
from risk_engine.store.drift import PER_SLOT, SLOTS

NOW = datetime.now(UTC)
# Rows as the committer writes them, at times that it cannot write.
STORE = text("""
    INSERT INTO risk.assessment (id, merchant_id, idempotency_key, fingerprint, payment_id, decision, score, rule_set,
                                 model, occurred_at, expires_at, created_at, is_late, request, facts, outcome)
    SELECT id, 'mer_1', id, '', id, 'allow', score, '-', :model, at, at, at, false, '{}', CAST(facts AS jsonb),
           '{"degraded": []}'
    FROM unnest(CAST(:ids AS text[]), CAST(:scores AS smallint[]), CAST(:times AS timestamptz[]),
                CAST(:facts AS text[])) AS new (id, score, at, facts)
""")


async def a_day(deps: Deps, source: random.Random, ends_at: datetime, *, sums: float = 1.0) -> None:
    """Decisions all day; `sums` multiplies what the windows say was spent, as a broken window would."""
    assert deps.scorer is not None
    values: dict[str, Any] = {"ids": [], "scores": [], "times": [], "facts": [], "model": deps.scorer.hash}
    for number in range(SLOTS * (PER_SLOT + 2)):
        count = source.randint(1, 9)
        spent = int(1_000 * count * source.lognormvariate(0, 0.4) * sums) or 1
        facts = facts_of(
            None,
            amount_reference_minor=1_000,
            customer_count_30d=count,
            customer_sum_30d=spent,
        )
        values["ids"].append(new_id("asm"))
        values["scores"].append(source.randint(0, 9))
        values["times"].append(ends_at - timedelta(days=1) * (number + 1) / (SLOTS * (PER_SLOT + 2)))
        values["facts"].append(orjson.dumps(facts).decode())
    async with deps.engine.begin() as conn:
        await conn.execute(STORE, values)


async def firing(deps: Deps) -> list[tuple[str, str]]:
    return [
        (one["kind"], one["scope"]) for one in (await find_alerts(deps, None, 10, status="firing"))["data"]
    ]


async def test_a_day_like_the_first_is_silent_and_one_with_other_sums_is_told(deps: Deps) -> None:
    source = random.Random(1)
    await a_day(deps, source, NOW - timedelta(days=2))
    assert await watch_drift(deps, now=NOW - timedelta(days=2)) == [], "pinned"
    await a_day(deps, source, NOW - timedelta(days=1))
    compared = await watch_drift(deps, now=NOW - timedelta(days=1))
    assert max(one.psi for one in compared) < 0.1
    assert await firing(deps) == []
    await a_day(deps, source, NOW, sums=3.0)
    await watch_drift(deps, now=NOW)
    assert sorted(await firing(deps)) == [("feature_drift", "amount_ratio_30d")]


async def test_a_lead_says_that_today_is_as_it_should_be(deps: Deps) -> None:
    source = random.Random(2)
    await a_day(deps, source, NOW - timedelta(days=1))
    await watch_drift(deps, now=NOW - timedelta(days=1))
    await a_day(deps, source, datetime.now(UTC), sums=3.0)
    before = await read_drift(deps)
    assert (before["columns"][0]["name"], before["sample_size"]) == ("amount_ratio_30d", SAMPLE_SIZE)
    assert before["columns"][0]["psi"] > 0.25
    assert (await pin_reference(deps, EVE))["pinned_by"] == "eve"
    assert (await read_drift(deps))["columns"][0]["psi"] == 0


async def test_too_few_decisions_are_compared_with_nothing(deps: Deps) -> None:
    assert await watch_drift(deps) == []
    for attempt in (read_drift(deps), pin_reference(deps, EVE)):
        with pytest.raises(NothingToCompare):
            await attempt
