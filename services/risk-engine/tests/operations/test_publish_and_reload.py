"""Save, publish, follow: every process decides with the published set, no request with half of one."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest
from risk_rig import (
    ADA,
    BOB,
    a_document,
    a_rule,
    a_subject,
    approved,
    backtested,
    codes,
    eventually,
    packaged_document,
    published,
    saved,
)
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from platform_kit.problems import NotFound
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deps, open_deps
from risk_engine.operations.manage_rule_sets import (
    InvalidRule,
    NotBacktested,
    SecondPersonNeeded,
    approve_rule_set,
    get_rule_set,
    list_rule_sets,
    save_rule_set,
)
from risk_engine.operations.publish_rule_set import (
    NotApproved,
    NothingBefore,
    publish_first_rule_set,
    publish_rule_set,
    roll_back,
)
from risk_engine.operations.reload_rules import reload_rules, watch_rules
from risk_engine.store import rule_sets

pytestmark = pytest.mark.timing


def marked(number: int) -> dict[str, Any]:
    """Two rules that always match and both carry the number: half of one set with half of another would show."""
    rules = [
        a_rule(n, when="has_card", then="review", code=f"set_{number}", text=f"Set {number}.") for n in (1, 2)
    ]
    return a_document(name=f"set {number}", rules=rules)


async def test_the_first_process_publishes_the_packaged_set_once(deps: Deps) -> None:
    async with open_deps(deps.settings) as other:
        first, second = await asyncio.gather(publish_first_rule_set(deps), publish_first_rule_set(other))
    assert first == second
    assert first.rule_set == deps.rules.compiled.rule_set.hash
    assert (await get_rule_set(deps, first.rule_set))["document"] == orjson.loads(
        orjson.dumps(packaged_document())
    )
    assert len(await list_rule_sets(deps, 10)) == 1


async def test_a_set_that_was_published_before_is_not_replaced_by_the_packaged_one(deps: Deps) -> None:
    mine = await published(deps, marked(1))
    assert (await publish_first_rule_set(deps)).rule_set == mine


async def test_the_same_content_is_the_same_set(deps: Deps) -> None:
    one = await save_rule_set(deps, marked(1), BOB)
    two = await save_rule_set(deps, dict(reversed(marked(1).items())), ADA)
    assert one == two, "and stays whose it was"
    assert len(await list_rule_sets(deps, 10)) == 1


async def test_a_published_set_decides_after_a_reload_and_a_rollback_is_a_publication(deps: Deps) -> None:
    first, second = await published(deps, marked(1)), await published(deps, marked(2))
    assert await reload_rules(deps)
    assert codes(await assess_payment(deps, a_subject(1))) == ["set_2", "set_2"]
    assert (await roll_back(deps, ADA)).rule_set == first
    assert await reload_rules(deps)
    answer = await assess_payment(deps, a_subject(2))
    assert (codes(answer), answer["rule_set"]) == (["set_1", "set_1"], first)
    assert not await reload_rules(deps)  # nothing new
    listed = {one["hash"]: one["status"] for one in await list_rule_sets(deps, 10)}
    assert listed == {first: "live", second: "retired"}
    with pytest.raises(NothingBefore):
        await roll_back(deps, ADA)


async def test_a_rollback_goes_to_what_decided_before_the_last_publication(deps: Deps) -> None:
    """Also when the live set had been live long before."""
    one, two, three = [await published(deps, marked(number)) for number in (1, 2, 3)]
    await publish_rule_set(deps, two, ADA)
    assert (await roll_back(deps, ADA)).rule_set == three
    assert (await roll_back(deps, ADA)).rule_set == two, "before three was last published"
    assert one not in {two, three}


async def test_an_unknown_set_cannot_be_published(deps: Deps) -> None:
    with pytest.raises(NotFound):
        await publish_rule_set(deps, "0" * 64, ADA)
    with pytest.raises(NotFound):
        await get_rule_set(deps, "0" * 64)


async def test_only_what_a_second_person_approved_may_decide(deps: Deps) -> None:
    rule_set = await saved(deps, marked(1))
    with pytest.raises(NotApproved):
        await publish_rule_set(deps, rule_set, ADA)
    with pytest.raises(SecondPersonNeeded):
        await approve_rule_set(deps, rule_set, None, BOB)
    with pytest.raises(NotBacktested):
        await approve_rule_set(deps, rule_set, None, ADA)
    await backtested(deps, rule_set)
    approval = await approve_rule_set(deps, rule_set, "Read it all.", ADA)
    assert (approval["status"], approval["saved_by"], approval["approved_by"], approval["note"]) == (
        "approved", "bob", "ada", "Read it all.",
    )  # fmt: skip
    await publish_rule_set(deps, rule_set, ADA)
    with pytest.raises(NotFound):
        await approve_rule_set(deps, "0" * 64, None, ADA)


async def test_the_database_refuses_an_approval_by_whoever_saved_the_set(deps: Deps) -> None:
    """Also when a program forgets to look, or says that somebody else had saved it."""
    rule_set = await saved(deps, marked(1))
    for saved_by, approved_by in (("bob", "bob"), ("eve", "bob")):
        with pytest.raises(IntegrityError):
            async with deps.engine.begin() as conn:
                await rule_sets.approve(conn, rule_set, saved_by, approved_by, None)


async def test_a_bad_rule_is_refused_by_name_and_nothing_is_stored(deps: Deps) -> None:
    with pytest.raises(InvalidRule) as refused:
        await saved(deps, a_document(rules=[a_rule(1), a_rule(2, when="amount > 1")]))
    assert refused.value.errors == [{"rule": "rule_2", "detail": "at 1:1: unknown fact or function 'amount'"}]
    assert await list_rule_sets(deps, 10) == []


async def test_a_stored_set_that_does_not_compile_here_is_refused_and_the_last_good_one_stays(
    deps: Deps,
) -> None:
    """Newer code knows a fact that this process does not."""
    good = await published(deps, marked(1))
    await reload_rules(deps)
    newer = orjson.dumps(a_document(rules=[a_rule(when="fact_of_tomorrow")])).decode()
    async with deps.engine.begin() as conn:
        values = {"hash": "f" * 64, "document": newer}
        await conn.execute(
            text("INSERT INTO risk.rule_set VALUES (:hash, 'newer', CAST(:document AS jsonb))"), values
        )
        await conn.execute(text("INSERT INTO risk.rule_set_publication (rule_set) VALUES (:hash)"), values)
    assert not await reload_rules(deps)
    assert not await reload_rules(deps)
    assert (await assess_payment(deps, a_subject()))["rule_set"] == good
    later = await published(deps, marked(2))
    assert await reload_rules(deps)
    assert (await assess_payment(deps, a_subject(2)))["rule_set"] == later


@pytest.mark.parametrize("announces", [True, False])
async def test_every_process_follows_within_two_seconds(deps: Deps, announces: bool) -> None:
    """With the announcement almost at once, without it (Redis away from the publisher) by the poll."""
    publisher = (
        deps if announces else replace(deps, redis=deps.redis.__class__.from_url("redis://127.0.0.1:1"))
    )
    stop = asyncio.Event()
    async with open_deps(deps.settings) as other, asyncio.TaskGroup() as tasks:
        tasks.create_task(watch_rules(deps, stop))
        tasks.create_task(watch_rules(other, stop))

        async def both_decide_with(rule_set: str) -> bool:
            return {one.rules.compiled.rule_set.hash for one in (deps, other) if one.rules.publication} == {
                rule_set
            }

        await eventually(lambda: both_decide_with(deps.rules.compiled.rule_set.hash))
        rule_set = await approved(deps, marked(3))
        await publish_rule_set(publisher, rule_set, ADA)
        took_s = await eventually(lambda: both_decide_with(rule_set))
        stop.set()
    assert took_s < 2


async def test_no_decision_sees_half_of_a_set(deps: Deps) -> None:
    """Sets are swapped as fast as they load while decisions are made; each is whole, and its hash names it."""
    hashes = {await published(deps, marked(number)): f"set_{number}" for number in range(6)}
    answers: list[Any] = []
    swapping = True

    async def swap() -> None:
        while swapping:
            for rule_set in hashes:
                await publish_rule_set(deps, rule_set, ADA)
                await reload_rules(deps)

    await reload_rules(deps)
    swapper = asyncio.create_task(swap())
    for start in range(0, 300, 20):
        answers += await asyncio.gather(
            *(assess_payment(deps, a_subject(n)) for n in range(start, start + 20))
        )
    swapping = False
    await swapper
    for answer in answers:
        assert codes(answer) == [hashes[answer["rule_set"]]] * 2
    assert len({answer["rule_set"] for answer in answers}) > 1
