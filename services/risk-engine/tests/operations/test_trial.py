"""A challenger beside the live set: in the shadow it changes nothing, with a share it decides that share."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from risk_rig import ADA, a_document, a_rule, a_subject, approved, codes, published, saved

from platform_kit.clock import FixedClock, isoformat
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deps
from risk_engine.operations.find_assessments import find_assessment
from risk_engine.operations.publish_rule_set import (
    AlreadyLive,
    NotApproved,
    NoTrial,
    begin_trial,
    end_trial,
    publish_rule_set,
    trial_report,
)
from risk_engine.operations.reload_rules import reload_rules

MILD = a_document(name="mild", rules=[a_rule(1, when="amount_minor > 5000", then="review", code="mild")])
STRICT = a_document(name="strict", rules=[a_rule(1, when="amount_minor > 1000", then="block", code="strict")])


async def on_trial(deps: Deps, share_bp: int) -> tuple[str, str]:
    live, challenger = await published(deps, MILD), await approved(deps, STRICT)
    await begin_trial(deps, challenger, share_bp, ADA)
    assert await reload_rules(deps)
    return live, challenger


async def assessed(deps: Deps, number: int) -> list[dict[str, Any]]:
    """Payments of 6,000, 2,000 and 500 in turn."""
    amounts = (6_000, 2_000, 500)
    return [
        dict(await assess_payment(deps, a_subject(n, card=f"card-{n}", amount_minor=amounts[n % 3])))
        for n in range(number)
    ]


async def test_in_the_shadow_the_live_set_decides_and_the_other_verdict_is_kept(deps: Deps) -> None:
    live, challenger = await on_trial(deps, 0)
    answers = await assessed(deps, 3)
    assert [(answer["decision"], answer["rule_set"]) for answer in answers] == [
        ("review", live), ("allow", live), ("allow", live),
    ]  # fmt: skip
    kept = [(await find_assessment(deps, answer["id"]))["other"] for answer in answers]
    assert kept == [
        {"rule_set": challenger, "decision": "block", "hits": ["rule_1"]},
        {"rule_set": challenger, "decision": "block", "hits": ["rule_1"]},
        {"rule_set": challenger, "decision": "allow", "hits": []},
    ]


async def test_with_a_share_the_challenger_decides_it_and_the_same_key_stays_on_its_side(deps: Deps) -> None:
    live, challenger = await on_trial(deps, 5_000)
    answers = await assessed(deps, 60)
    decided = Counter(answer["rule_set"] for answer in answers)
    assert set(decided) == {live, challenger}
    assert min(decided.values()) >= 15
    for answer in answers:
        stored = await find_assessment(deps, answer["id"])
        assert stored["other"]["rule_set"] == ({live, challenger} - {answer["rule_set"]}).pop()
        assert set(codes(answer)) <= {"strict" if answer["rule_set"] == challenger else "mild"}


@pytest.mark.parametrize("share_bp", [0, 5_000])
async def test_the_report_is_the_same_whoever_decided(deps: Deps, share_bp: int) -> None:
    await on_trial(deps, share_bp)
    await assessed(deps, 30)
    found = (await trial_report(deps))["difference"]
    assert (found["payments"], found["stricter"], found["milder"]) == (30, 20, 0)
    assert (found["live_alert_rate"], found["challenger_alert_rate"]) == pytest.approx(
        (1 / 3, 2 / 3), abs=1e-6
    )
    low, high = found["change_95"]
    assert low < found["change"] < high


async def test_a_repeated_payment_is_not_counted_twice(deps: Deps) -> None:
    await on_trial(deps, 0)
    for _ in range(3):
        await assess_payment(deps, a_subject(1))
    assert (await trial_report(deps))["difference"]["payments"] == 1


async def test_a_trial_ends_and_publishing_ends_it_too(deps: Deps) -> None:
    _, challenger = await on_trial(deps, 5_000)
    await end_trial(deps, ADA)
    assert await reload_rules(deps)
    assert deps.rules.deployed.challenger is None
    with pytest.raises(NoTrial):
        await end_trial(deps, ADA)
    with pytest.raises(NoTrial):
        await trial_report(deps)
    await begin_trial(deps, challenger, 100, ADA)
    await publish_rule_set(deps, challenger, ADA)
    assert await reload_rules(deps)
    assert (deps.rules.compiled.rule_set.hash, deps.rules.deployed.challenger) == (challenger, None)


async def test_what_cannot_be_tried_is_refused(deps: Deps) -> None:
    live = await published(deps, MILD)
    with pytest.raises(AlreadyLive):
        await begin_trial(deps, live, 0, ADA)
    with pytest.raises(NotApproved):
        await begin_trial(deps, await saved(deps, STRICT), 0, ADA)


async def test_a_long_trial_is_judged_by_its_last_week(deps: Deps) -> None:
    await on_trial(deps, 0)
    await assessed(deps, 3)
    assert (await trial_report(deps))["difference"]["payments"] == 3
    later = replace(deps, clock=FixedClock(deps.clock.now() + timedelta(days=8)))
    found = (await trial_report(later))["difference"]
    assert (found["payments"], found["since"]) == (0, isoformat(later.clock.now() - timedelta(days=7)))
