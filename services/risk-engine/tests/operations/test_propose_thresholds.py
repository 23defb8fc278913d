"""Thresholds from what really happened, as bands for everybody or rules for some merchants."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from risk_rig import ADA, BOB, FixedScorer, a_document, a_subject, saved

from platform_kit.problems import NotFound
from risk_engine.domain.labels import Label, LabelKind, LabelSource
from risk_engine.domain.lists import ListType
from risk_engine.domain.thresholds import Costs
from risk_engine.operations import propose_thresholds as proposing
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deps
from risk_engine.operations.manage_lists import add_entries, make_list
from risk_engine.operations.propose_thresholds import Question, propose_thresholds
from risk_engine.store import labels


def asked(deps: Deps, **changes: Any) -> Question:
    now = deps.clock.now()
    question = Question(
        Costs(),
        now - timedelta(hours=1),
        now + timedelta(hours=1),
        merchants=None,
        silent_days=None,
        may_block=True,
    )
    return replace(question, **changes)


async def history(deps: Deps) -> None:
    """Of two merchants: scores 10 to 90; from 70 on all fraud at one, from 30 on at the other; one is not known."""
    said = []
    for merchant, fraud_from in (("mer_1", 70), ("mer_2", 30)):
        for n, score in enumerate(range(10, 100, 10)):
            subject = a_subject(
                n, merchant_id=merchant, payment_id=f"pay_{merchant}_{n}", amount_minor=10_000
            )
            await assess_payment(replace(deps, scorer=FixedScorer(score)), subject)
            kind = LabelKind.FRAUD if score >= fraud_from else LabelKind.LEGITIMATE
            said.append(
                Label(subject.payment_id, kind, LabelSource.UPLOAD, deps.clock.now(), "bob", None, None)
            )
    await assess_payment(replace(deps, scorer=FixedScorer(95)), a_subject(99, payment_id="pay_silent"))
    async with deps.engine.begin() as conn:
        await labels.add(conn, said)


@pytest.mark.parametrize("slice_", [3, 2_000])
async def test_a_segment_has_thresholds_of_its_own(
    deps: Deps, monkeypatch: pytest.MonkeyPatch, slice_: int
) -> None:
    monkeypatch.setattr(proposing, "SLICE", slice_)
    await history(deps)
    for name, merchant in (("calm", "mer_1"), ("wild", "mer_2")):
        await make_list(deps, name, ListType.MERCHANT, None, ADA)
        await add_entries(deps, name, [{"value": merchant, "reason": "x", "expires_at": None}], ADA)
    calm = await propose_thresholds(deps, asked(deps, merchants="calm"))
    wild = await propose_thresholds(deps, asked(deps, merchants="wild"))
    assert (calm["payments"], calm["frauds"], calm["cost_proposed_minor"]) == (9, 3, 0)
    assert 60 < calm["thresholds"]["block"] <= 70
    assert 20 < wild["thresholds"]["block"] <= 30
    (rule,) = wild["rules"]
    assert rule["when"] == f"list_wild && score >= {wild['thresholds']['block']}"
    assert await saved(deps, a_document(rules=[rule])), "a proposal is a rule that can be saved as it is"


async def test_for_everybody_it_is_bands_and_without_leave_the_score_never_blocks(deps: Deps) -> None:
    await history(deps)
    found = await propose_thresholds(deps, asked(deps, may_block=False))
    assert (found["payments"], found["frauds"], found["rules"]) == (18, 10, [])
    assert "block" not in found["thresholds"]
    assert found["cost_proposed_minor"] < found["cost_always_minor"]["allow"]
    assert await saved(deps, a_document(score_bands=found["score_bands"]))


async def test_a_silent_payment_counts_only_once_it_is_old_enough(deps: Deps) -> None:
    await history(deps)
    assert (await propose_thresholds(deps, asked(deps, silent_days=1)))["payments"] == 18
    later = replace(deps, clock=_Later(deps.clock.now() + timedelta(days=2)))
    assert (await propose_thresholds(later, asked(deps, silent_days=1)))["payments"] == 19


async def test_only_a_list_of_merchants_is_a_segment(deps: Deps) -> None:
    await make_list(deps, "cards", ListType.CARD, None, BOB)
    for name in ("cards", "nope"):
        with pytest.raises(NotFound):
            await propose_thresholds(deps, asked(deps, merchants=name))


class _Later:
    def __init__(self, at: Any) -> None:
        self._at = at

    def now(self) -> Any:
        return self._at
