"""A rule set tried on what was really decided."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from risk_rig import BOB, FixedScorer, a_document, a_rule, a_subject, backtested, published, saved
from sqlalchemy import text

from platform_kit.problems import NotFound
from risk_engine.domain.labels import Label, LabelKind, LabelSource
from risk_engine.operations import backtest_rule_set
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.backtest_rule_set import (
    TooManyPayments,
    ask_for_backtest,
    get_backtest,
    list_backtests,
    run_backtests,
)
from risk_engine.operations.deps import Deps, open_deps
from risk_engine.operations.reference_currency import OtherCurrency
from risk_engine.operations.reload_rules import reload_rules
from risk_engine.store import labels

LIVE = a_document(name="live", rules=[a_rule(1, when="amount_minor > 100000", then="review")])
TRIED = a_document(
    name="tried",
    rules=[
        a_rule(1, when="amount_minor > 3000", then="block"),
        a_rule(2, when="card_count_10m >= 3", then="review"),
    ],
)


async def history(deps: Deps) -> None:
    """Ten payments of 1,000 to 10,000 by two cards; the largest two turn out to be fraud, the smallest two are not."""
    await published(deps, LIVE)
    await reload_rules(deps)
    for n in range(10):
        await assess_payment(deps, a_subject(n, amount_minor=1_000 * (n + 1), card=f"card-{n % 2}"))
    now = deps.clock.now()
    said = [("pay_9", LabelKind.FRAUD), ("pay_8", LabelKind.FRAUD), ("pay_0", LabelKind.LEGITIMATE)]
    said.append(("pay_1", LabelKind.LEGITIMATE))
    async with deps.engine.begin() as conn:
        await labels.add(
            conn, [Label(payment, kind, LabelSource.UPLOAD, now, "bob", None, now) for payment, kind in said]
        )


async def test_a_set_is_tried_with_the_facts_of_the_moment(deps: Deps) -> None:
    await history(deps)
    report = await backtested(deps, await saved(deps, TRIED))
    assert report["payments"] == 10
    assert report["decided"]["decisions"]["allow"] == 10
    # Seven are above 3,000; from the fifth on each is its card's third or later.
    assert report["tried"]["decisions"] == {"allow": 3, "review": 0, "challenge": 0, "block": 7}
    assert (report["rules"]["rule_1"]["hits"], report["rules"]["rule_2"]["hits"]) == (7, 6)
    assert (report["labelled"], report["frauds"]) == (4, 2)
    assert report["money_saved_minor"] == 19_000
    assert (report["tried"]["recall"]["share"], report["tried"]["precision"]["share"]) == (1.0, 1.0)
    assert report["good_customers_hurt"] == 0


async def test_a_report_draws_what_each_threshold_of_the_score_would_do(deps: Deps) -> None:
    """Only payments that a model scored have a point."""
    await published(deps, LIVE)
    await reload_rules(deps)
    for n, score in enumerate((0, 30, 30, 95)):
        await assess_payment(replace(deps, scorer=FixedScorer(score)), a_subject(n))
    await assess_payment(replace(deps, scorer=None), a_subject(9))
    now = deps.clock.now()
    said = [("pay_3", LabelKind.FRAUD), ("pay_1", LabelKind.LEGITIMATE)]
    async with deps.engine.begin() as conn:
        await labels.add(
            conn, [Label(payment, kind, LabelSource.UPLOAD, now, "bob", None, now) for payment, kind in said]
        )
    curve = (await backtested(deps, deps.rules.compiled.rule_set.hash))["curve"]
    assert (curve["payments"], curve["frauds"], curve["legitimate"]) == (4, 1, 1)
    assert [
        (point["score_from"], point["stopped"]["number"], point["good_stopped"]["number"])
        for point in curve["points"]
    ] == [(0, 4, 1), (30, 3, 1), (95, 1, 0)]
    assert [point["money_saved_minor"] for point in curve["points"]] == [1_250] * 3


async def test_a_report_of_an_earlier_release_has_no_curve(deps: Deps) -> None:
    await history(deps)
    now = deps.clock.now()
    asked = await ask_for_backtest(
        deps, await saved(deps, TRIED), now - timedelta(hours=1), now + timedelta(hours=1), BOB
    )
    await run_backtests(deps)
    async with deps.engine.begin() as conn:
        await conn.execute(text("UPDATE risk.backtest SET report = report - 'curve'"))
    found = await get_backtest(deps, asked["id"])
    assert (found["report"]["payments"], found["report"]["curve"]) == (10, None)


async def test_the_same_set_decides_as_it_did(deps: Deps) -> None:
    """One function decides live, in the shadow, in a replay and here."""
    await history(deps)
    report = await backtested(deps, deps.rules.compiled.rule_set.hash)
    assert report["changed"] == []


async def test_slices_give_the_same_report(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    await history(deps)
    rule_set = await saved(deps, TRIED)
    whole = await backtested(deps, rule_set)
    monkeypatch.setattr(backtest_rule_set, "SLICE", 3)
    sliced = await backtested(deps, rule_set)
    assert whole | {"took_s": 0} == sliced | {"took_s": 0}


async def test_a_fact_that_was_not_recorded_then_has_its_default(deps: Deps) -> None:
    """Of a list that the deciding rules did not name nobody wrote down who was on it."""
    from risk_engine.domain.lists import ListType
    from risk_engine.operations.manage_lists import make_list

    await history(deps)
    await make_list(deps, "later", ListType.CARD, None, BOB)
    report = await backtested(deps, await saved(deps, a_document(rules=[a_rule(1, when="!list_later")])))
    assert report["rules"]["rule_1"]["hits"] == 10


async def test_only_the_asked_time_is_looked_at(deps: Deps) -> None:
    await history(deps)
    now = deps.clock.now()
    asked = await ask_for_backtest(
        deps, await saved(deps, TRIED), now - timedelta(days=2), now - timedelta(days=1), BOB
    )
    await run_backtests(deps)
    found = await get_backtest(deps, asked["id"])
    assert (found["status"], found["report"]["payments"], found["done"]) == ("done", 0, 0)


async def test_two_workers_run_each_backtest_once(deps: Deps) -> None:
    await history(deps)
    rule_set, now = await saved(deps, TRIED), deps.clock.now()
    for _ in range(4):
        await ask_for_backtest(deps, rule_set, now - timedelta(hours=1), now + timedelta(hours=1), BOB)
    async with open_deps(deps.settings) as other:
        assert sum(await asyncio.gather(run_backtests(deps), run_backtests(other))) == 4 + 0
    statuses = [one["status"] for one in await list_backtests(deps, rule_set, 10)]
    assert statuses == ["done"] * 4


async def test_one_whose_worker_died_is_begun_anew(deps: Deps) -> None:
    await history(deps)
    rule_set, now = await saved(deps, TRIED), deps.clock.now()
    asked = await ask_for_backtest(deps, rule_set, now - timedelta(hours=1), now + timedelta(hours=1), BOB)
    async with deps.engine.begin() as conn:
        await conn.execute(
            text(
                "UPDATE risk.backtest SET status = 'running', progressed_at = :then, done = 7 WHERE id = :id"
            ),
            {"id": asked["id"], "then": now - timedelta(hours=1)},
        )
    assert await run_backtests(deps) == 1
    assert (await get_backtest(deps, asked["id"]))["report"]["payments"] == 10


async def test_what_cannot_be_tried_is_refused(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    await history(deps)
    now = deps.clock.now()
    with pytest.raises(NotFound):
        await ask_for_backtest(deps, "0" * 64, now - timedelta(hours=1), now, BOB)
    with pytest.raises(NotFound):
        await get_backtest(deps, "btr_none")
    monkeypatch.setattr(backtest_rule_set, "PAYMENTS_MAX", 5)
    rule_set = await saved(deps, TRIED)
    with pytest.raises(TooManyPayments):
        await ask_for_backtest(deps, rule_set, now - timedelta(hours=1), now + timedelta(hours=1), BOB)


COPY = text("""
    INSERT INTO risk.assessment (id, merchant_id, idempotency_key, fingerprint, payment_id, decision, score, rule_set,
                                 model, occurred_at, expires_at, is_late, request, facts, outcome)
    SELECT overlay(id PLACING :mark FROM 27), merchant_id, :mark, fingerprint, :mark, 'allow', score, rule_set,
           model, occurred_at, expires_at, is_late, request, facts, outcome || CAST(:outcome AS jsonb)
    FROM risk.assessment WHERE id = :id
""")


async def test_an_exception_that_a_person_made_is_none_of_the_rules(deps: Deps) -> None:
    """A snoozed rule says nothing, and a block that was let through is what the rules wanted: the set that decided
    would decide the same."""
    await published(deps, a_document(rules=[a_rule(1, when="has_card", then="block")]))
    await reload_rules(deps)
    made = [(await assess_payment(deps, a_subject(n)))["id"] for n in range(2)]
    async with deps.engine.begin() as conn:
        for key, outcome in (
            ("let", '{"let_through": true}'),
            ("snz", '{"snoozed": ["rule_1"], "hits": []}'),
        ):
            await conn.execute(COPY, {"mark": key, "outcome": outcome, "id": made[0]})
    report = await backtested(deps, deps.rules.compiled.rule_set.hash)
    assert (report["payments"], report["changed"]) == (4, [])
    assert report["decided"]["decisions"]["block"] == 3


async def test_a_label_is_found_by_the_assessment_when_the_payment_was_sent_again(deps: Deps) -> None:
    await published(deps, LIVE)
    await reload_rules(deps)
    made = (await assess_payment(deps, a_subject(1)))["id"]
    said = Label(
        "pay_second_try", LabelKind.FRAUD, LabelSource.DISPUTE, deps.clock.now(), "gateway", made, None
    )
    async with deps.engine.begin() as conn:
        await labels.add(conn, [said])
    assert (await backtested(deps, deps.rules.compiled.rule_set.hash))["frauds"] == 1


async def test_a_set_in_another_currency_is_refused(deps: Deps) -> None:
    await history(deps)
    now = deps.clock.now()
    dollars = a_document(
        reference_currency="USD",
        reference_rates={"USD": 1_000_000},
        amount_bands={"USD": {"medium": 1, "high": 2, "very_high": 3}},
    )
    rule_set = await saved(deps, dollars)
    with pytest.raises(OtherCurrency):
        await ask_for_backtest(deps, rule_set, now - timedelta(hours=1), now, BOB)
