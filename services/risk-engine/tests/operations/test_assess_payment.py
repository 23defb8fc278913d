"""One decision with everything in place, repeated, contested, and with each part taken away for real."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from risk_rig import (
    FixedScorer,
    KillableRedis,
    a_document,
    a_rule,
    a_subject,
    codes,
    eventually,
    settings_for,
)
from sqlalchemy import text

from platform_kit.idempotency import KeyReused
from risk_engine.clients.cel import Together, compile_rules
from risk_engine.clients.model import ModelUnavailable
from risk_engine.domain.assessment import subject_of
from risk_engine.domain.decision import Decision
from risk_engine.domain.failure_policy import FAILURE_POLICY, Band, Fault
from risk_engine.domain.rule_documents import parse_rule_set
from risk_engine.domain.rules import decide
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deployed, Deps, RulesInUse, open_deps
from risk_engine.store import assessments

pytestmark = pytest.mark.timing

# One amount per band of the rig's rule set, in euro cents.
AMOUNTS = {Band.LOW: 1_250, Band.MEDIUM: 5_000, Band.HIGH: 50_000, Band.VERY_HIGH: 200_000}


def with_rules(deps: Deps, *rules: dict[str, Any], **changes: Any) -> Deps:
    """The same deps deciding with other rules."""
    document = a_document(rules=list(rules), **changes)
    return replace(deps, rules=RulesInUse(Deployed(compile_rules(parse_rule_set(document)), publication=1)))


async def rows(deps: Deps) -> list[Any]:
    async with deps.engine.connect() as conn:
        return list(await conn.execute(text("SELECT * FROM risk.assessment ORDER BY id")))


async def test_a_decision_is_answered_and_stored_with_everything_that_made_it(deps: Deps) -> None:
    answer = await assess_payment(deps, a_subject())
    assert (answer["decision"], answer["degraded"], answer["reasons"]) == ("allow", [], [])
    async with deps.engine.connect() as conn:
        stored = await assessments.find(conn, answer["id"])
    assert stored is not None
    assert {name: stored[name] for name in answer} == answer
    assert stored["rule_set"] == deps.rules.compiled.rule_set.hash
    assert deps.scorer is not None
    assert stored["model"] == deps.scorer.hash
    assert stored["facts"]["card_count_10m"] == stored["facts"]["customer_count_30d"] == 1
    assert set(stored["trace"]["timings_us"]) >= {"velocity", "score", "rules"}
    assert not stored["is_late"]


async def test_the_event_of_a_decision_is_written_with_it(deps: Deps) -> None:
    answer = await assess_payment(deps, a_subject())
    async with deps.engine.connect() as conn:
        (event,) = list(
            await conn.execute(text("SELECT type, aggregate_id, merchant_id, data FROM risk.outbox_event"))
        )
    assert (event.type, event.aggregate_id, event.merchant_id) == (
        "assessment.made.v1",
        answer["id"],
        "mer_1",
    )
    assert '"amount_minor": 1250' in str(event.data).replace("'", '"')


async def test_a_repeated_key_gets_the_first_answer_and_counts_once(deps: Deps) -> None:
    first = await assess_payment(deps, a_subject(1))
    again = await assess_payment(deps, a_subject(1, payment_id="pay_of_the_retry"))
    third = await assess_payment(deps, a_subject(2))
    assert again == first
    assert len(await rows(deps)) == 2
    async with deps.engine.connect() as conn:
        stored = await assessments.find(conn, third["id"])
    assert stored is not None
    assert stored["facts"]["card_count_10m"] == 2


async def test_of_many_at_once_under_one_key_one_is_stored_and_all_are_told_the_same(deps: Deps) -> None:
    answers = await asyncio.gather(*(assess_payment(deps, a_subject(1)) for _ in range(20)))
    assert all(answer == answers[0] for answer in answers)
    assert len(await rows(deps)) == 1


async def test_two_processes_under_one_key_agree(deps: Deps) -> None:
    async with open_deps(deps.settings) as other:
        pairs = [
            await asyncio.gather(assess_payment(deps, a_subject(n)), assess_payment(other, a_subject(n)))
            for n in range(10)
        ]
    assert all(one == two for one, two in pairs)
    assert len(await rows(deps)) == 10


async def test_another_request_under_a_used_key_is_refused_and_nothing_is_written(deps: Deps) -> None:
    await assess_payment(deps, a_subject(1))
    with pytest.raises(KeyReused):
        await assess_payment(deps, a_subject(1, amount_minor=9_999))
    assert len(await rows(deps)) == 1


async def test_the_same_key_of_another_merchant_is_another_decision(deps: Deps) -> None:
    one = await assess_payment(deps, a_subject(1))
    two = await assess_payment(deps, a_subject(1, merchant_id="mer_2"))
    assert one["id"] != two["id"]


async def test_the_default_rules_stop_a_card_that_is_used_again_and_again(deps: Deps) -> None:
    answers = [await assess_payment(deps, a_subject(n, device="", ip="")) for n in range(12)]
    decisions = [answer["decision"] for answer in answers]
    assert decisions == ["allow"] * 4 + ["challenge"] * 5 + ["block"] * 3
    assert codes(answers[-1]) == ["card_velocity_extreme", "card_velocity"]


async def test_the_default_rules_stop_many_cards_from_one_device(deps: Deps) -> None:
    answers = [
        await assess_payment(deps, a_subject(n, card=f"card-{n}", customer_id=f"customer-{n}", ip=f"ip-{n}"))
        for n in range(8)
    ]
    assert [answer["decision"] for answer in answers] == ["allow"] * 3 + ["challenge"] * 3 + ["block"] * 2
    assert codes(answers[-1])[0] == "device_enumeration"


async def test_the_score_reaches_rules_and_bands(deps: Deps) -> None:
    scored = replace(
        with_rules(
            deps,
            a_rule(when="score >= 90", then="block"),
            score_bands=[{"at_least": 60, "then": "review", "code": "score_high", "text": "High."}],
        ),
        scorer=FixedScorer(95),
    )
    answer = await assess_payment(scored, a_subject())
    assert (answer["decision"], answer["score"], codes(answer)) == ("block", 95, ["code_1", "score_high"])


async def test_a_stored_decision_can_be_made_again_from_what_was_stored(deps: Deps) -> None:
    """Replay: the stored facts through the stored rule set give the stored decision and reasons."""
    answers = [await assess_payment(deps, a_subject(n, device="", ip="")) for n in range(12)]
    rules = deps.rules.compiled
    for row, answer in zip(await rows(deps), answers, strict=True):
        subject = subject_of(row.merchant_id, row.idempotency_key, row.payment_id, row.request)
        band = rules.rule_set.band_of(subject.amount_minor, subject.currency)
        outcome = decide(rules.rule_set, rules.evaluate(row.facts), row.score, band)
        assert outcome.decision == row.decision
        assert [reason.code for reason in outcome.reasons] == codes(answer)


@pytest.mark.parametrize("band", Band)
async def test_without_redis_rules_decide_stricter_with_size(
    new_database: Callable[[], Awaitable[str]], killable_redis: KillableRedis, band: Band
) -> None:
    """Row `velocity`: the server is killed in the middle, and started again."""
    settings = settings_for(await new_database(), killable_redis.url)
    async with open_deps(settings) as opened:
        deps = with_rules(
            opened, a_rule(1, when="card_count_10m >= 1"), a_rule(2, when="method == 'card'", then="allow")
        )
        await deps.features.mark_warm()
        assert codes(await assess_payment(deps, a_subject(1, amount_minor=AMOUNTS[band]))) == [
            "code_1",
            "code_2",
        ]
        killable_redis.kill()
        answer = await assess_payment(deps, a_subject(2, amount_minor=AMOUNTS[band]))
        assert answer["degraded"] == ["velocity"]
        assert answer["decision"] == FAILURE_POLICY[Fault.VELOCITY][band]
        assert "code_1" not in codes(answer)
        assert "code_2" in codes(answer)
        assert (await rows(deps))[-1].outcome["skipped"] == ["rule_1"]
        killable_redis.start()
        back = await assess_payment(deps, a_subject(3, amount_minor=AMOUNTS[band]))
        assert back["degraded"] == ["velocity_cold"]
        assert back["decision"] == max(
            "review", FAILURE_POLICY[Fault.VELOCITY_COLD][band], key=lambda d: Decision(d).severity
        )


async def test_a_frozen_redis_costs_no_more_than_its_share_of_the_deadline(
    new_database: Callable[[], Awaitable[str]], killable_redis: KillableRedis
) -> None:
    settings = settings_for(await new_database(), killable_redis.url, velocity_timeout_ms=500)
    async with open_deps(settings) as deps:
        await deps.features.mark_warm()
        await assess_payment(deps, a_subject(1))
        with killable_redis.frozen():
            began = time.perf_counter()
            answer = await assess_payment(deps, a_subject(2))
            took_s = time.perf_counter() - began
        assert answer["degraded"] == ["velocity"]
        assert (
            took_s < 1.5
        )  # the share is half a second here; nothing else here gives up within half a minute


@pytest.mark.parametrize("band", Band)
async def test_windows_that_lost_their_data_are_told(deps: Deps, band: Band) -> None:
    """Row `velocity_cold`."""
    await deps.redis.flushall()
    answer = await assess_payment(with_rules(deps), a_subject(amount_minor=AMOUNTS[band]))
    assert answer["degraded"] == ["velocity_cold"]
    assert answer["decision"] == FAILURE_POLICY[Fault.VELOCITY_COLD][band]


@pytest.mark.parametrize("band", Band)
async def test_without_a_model_rules_decide_alone(deps: Deps, tmp_path: Any, band: Band) -> None:
    """Row `model`: the file is not there."""
    settings = deps.settings.model_copy(update={"model_file": tmp_path / "model.txt"})
    async with open_deps(settings) as opened:
        without = with_rules(opened, a_rule(1, when="score >= 0"), a_rule(2, when="has_card", then="allow"))
        answer = await assess_payment(without, a_subject(amount_minor=AMOUNTS[band]))
    assert (answer["degraded"], answer["model"], answer["score"]) == (["model"], None, 0)
    assert answer["probability_ppm"] is None
    assert answer["decision"] == FAILURE_POLICY[Fault.MODEL][band]
    assert codes(answer) == ["code_2"]


async def test_a_model_that_fails_on_a_payment_is_a_missing_model(deps: Deps) -> None:
    class Broken(FixedScorer):
        def score(self, row: list[float]) -> int:
            raise ModelUnavailable("NaN")

    answer = await assess_payment(replace(with_rules(deps), scorer=Broken(0)), a_subject())
    assert answer["degraded"] == ["model"]


@pytest.mark.parametrize("band", [Band.VERY_HIGH])
async def test_a_currency_without_a_rate_is_sized_by_nobody(deps: Deps, band: Band) -> None:
    """Row `reference_rate`: the amount counts as very high."""
    answer = await assess_payment(with_rules(deps), a_subject(currency="GBP", amount_minor=100))
    assert answer["degraded"] == ["reference_rate"]
    assert answer["decision"] == FAILURE_POLICY[Fault.REFERENCE_RATE][band]


@pytest.mark.parametrize("band", Band)
async def test_a_rule_that_fails_is_recorded_and_the_set_goes_on(deps: Deps, band: Band) -> None:
    """Row `rule_error`: no expression that passes the probes is known to fail, so its program is replaced."""

    def fails(_context: object) -> object:
        raise ZeroDivisionError("division by zero in CEL expression")

    broken = with_rules(deps, a_rule(1, when="is_night"), a_rule(2, when="has_card", then="allow"))
    compiled = broken.rules.compiled
    first, second = compiled.rules
    together = Together((replace(first, execute=fails), second), fails, False, False)
    broken.rules.deployed = Deployed(replace(compiled, together=(together,)), publication=1)
    answer = await assess_payment(broken, a_subject(amount_minor=AMOUNTS[band]))
    assert answer["degraded"] == ["rule_error"]
    assert answer["decision"] == FAILURE_POLICY[Fault.RULE_ERROR][band]
    assert "code_2" in codes(answer)
    stored = (await rows(deps))[-1].outcome["errors"]
    assert stored == [{"rule": "rule_1", "error": "ZeroDivisionError: division by zero in CEL expression"}]


@pytest.mark.parametrize("band", Band)
async def test_past_the_deadline_the_amount_decides(
    new_database: Callable[[], Awaitable[str]], killable_redis: KillableRedis, band: Band
) -> None:
    """Row `deadline`: Redis freezes and eats what the rules would have needed."""
    settings = settings_for(await new_database(), killable_redis.url, deadline_ms=40, velocity_timeout_ms=35)
    async with open_deps(settings) as opened:
        deps = with_rules(opened, a_rule(1, when="has_card", then="allow"))
        await deps.features.mark_warm()
        with killable_redis.frozen():
            answer = await assess_payment(deps, a_subject(amount_minor=AMOUNTS[band]))
        assert set(answer["degraded"]) - {"commit_late"} == {"velocity", "deadline"}
        assert answer["decision"] == max(
            FAILURE_POLICY[Fault.DEADLINE][band],
            FAILURE_POLICY[Fault.VELOCITY][band],
            key=lambda d: d.severity,
        )
        assert "code_1" not in codes(answer)


async def test_a_commit_that_is_late_is_answered_in_time_and_still_written(deps: Deps) -> None:
    """Row `commit_late`: another session holds the key of the first decision, so its insert has to wait."""
    quick = replace(deps, settings=deps.settings.model_copy(update={"deadline_ms": 120}))
    async with deps.engine.connect() as blocker:
        transaction = await blocker.begin()
        await blocker.execute(HOLD_KEY_1)
        began = time.perf_counter()
        answer = await assess_payment(quick, a_subject(1))
        took_s = time.perf_counter() - began
        behind = await assess_payment(quick, a_subject(2))
        await transaction.rollback()
    assert took_s < 0.5
    assert answer["degraded"] == behind["degraded"] == ["commit_late"]

    async def both_are_stored() -> bool:
        return len(await rows(deps)) == 2

    await eventually(both_are_stored)
    assert [row.is_late for row in await rows(deps)] == [
        False,
        True,
    ]  # the first flush had begun in time, the second had not
    again = await assess_payment(deps, a_subject(1))
    assert (again["id"], again["decision"]) == (answer["id"], answer["decision"])


HOLD_KEY_1 = text("""
    INSERT INTO risk.assessment (id, merchant_id, idempotency_key, fingerprint, payment_id, decision, score, rule_set,
                                 occurred_at, expires_at, is_late, request, facts, outcome)
    VALUES ('asm_held', 'mer_1', 'key-1', '', 'pay_1', 'allow', 0, '-', now(), now(), false, '{}', '{}', '{}')
""")
