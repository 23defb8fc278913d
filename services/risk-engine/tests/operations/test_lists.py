"""Lists from the first entry to the decision that one makes, in every process."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from risk_rig import ADA, BOB, a_document, a_rule, a_subject, codes, published, saved

from platform_kit.problems import NotFound
from risk_engine.domain.facts import fingerprint
from risk_engine.domain.lists import ListType
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deps, open_deps
from risk_engine.operations.find_assessments import find_assessment
from risk_engine.operations.manage_lists import (
    LeadNeeded,
    ListExists,
    TooManyEntries,
    add_entries,
    all_lists,
    follow_lists,
    list_entries,
    list_hits,
    make_list,
    remove_entry,
)
from risk_engine.operations.manage_rule_sets import InvalidRule
from risk_engine.operations.reload_rules import reload_rules
from risk_engine.store import lists

CARD = "tok_stolen"
RULE = a_rule(1, when="list_stolen", then="block", code="stolen_card")


def entry(value: str = CARD, **changes: Any) -> dict[str, Any]:
    return {"value": value, "reason": "Reported stolen.", "expires_at": None} | changes


async def with_rule(deps: Deps) -> None:
    await make_list(deps, "stolen", ListType.CARD, None, BOB)
    await published(deps, a_document(rules=[RULE]))
    await reload_rules(deps)
    await follow_lists(deps)


def a_payment(number: int) -> Any:
    return a_subject(number, card=fingerprint("card", CARD))


async def test_an_entry_decides_until_it_is_taken_off_and_its_hits_are_kept(deps: Deps) -> None:
    await with_rule(deps)
    assert (await assess_payment(deps, a_payment(1)))["decision"] == "allow"
    (added,) = await add_entries(deps, "stolen", [entry()], BOB)
    assert await follow_lists(deps) == 1
    blocked = await assess_payment(deps, a_payment(2))
    assert (blocked["decision"], codes(blocked)) == ("block", ["stolen_card"])
    assert (await find_assessment(deps, blocked["id"]))["facts"]["list_stolen"] is True

    removed = await remove_entry(deps, "stolen", added["id"], ADA)
    assert (removed["removed_by"], removed["added_by"]) == ("ada", "bob")
    assert await remove_entry(deps, "stolen", added["id"], BOB) == removed, "the first time counts"
    await follow_lists(deps)
    assert (await assess_payment(deps, a_payment(3)))["decision"] == "allow"
    hits = (await list_hits(deps, "stolen", None, 10))["data"]
    assert [hit["assessment_id"] for hit in hits] == [blocked["id"]]


async def test_a_rule_can_only_ask_a_list_that_there_is(deps: Deps) -> None:
    with pytest.raises(InvalidRule) as refused:
        await saved(deps, a_document(rules=[RULE]))
    assert "unknown fact or function 'list_stolen'" in str(refused.value.errors)
    await make_list(deps, "stolen", ListType.CARD, None, BOB)
    assert await saved(deps, a_document(rules=[RULE]))


async def test_an_entry_comes_on_again_with_new_terms(deps: Deps) -> None:
    await with_rule(deps)
    ends = deps.clock.now() + timedelta(hours=1)
    first, again, refused = await add_entries(
        deps, "stolen", [entry(), entry(reason="Again.", expires_at=ends), entry("")], BOB
    )
    assert [one["result"] for one in (first, again, refused)] == ["added", "renewed", "refused"]
    (current,) = (await list_entries(deps, "stolen", None, 10, with_removed=False))["data"]
    assert (current["id"], current["reason"], current["expires_at"] is None) == (again["id"], "Again.", False)
    assert len((await list_entries(deps, "stolen", None, 10, with_removed=True))["data"]) == 2
    await follow_lists(deps)
    assert (await assess_payment(deps, a_payment(1)))["decision"] == "block"
    (made,) = await all_lists(deps)
    assert (made["entry_count"], made["fact"]) == (1, "list_stolen")


async def test_an_entry_of_an_earlier_release_that_meets_nobody_says_so(deps: Deps) -> None:
    await make_list(deps, "known", ListType.CUSTOMER, None, BOB)
    added, refused = await add_entries(deps, "known", [entry("mer_1/sub_1"), entry("mer_1/c-17")], BOB)
    before = {"value": "mer_1/c-17", "reason": "Was taken then.", "expires_at": None}
    assert (added["result"], refused["result"]) == ("added", "refused")
    assert "by token" in refused["detail"]
    async with deps.engine.begin() as conn:
        await lists.add(conn, "known", fingerprint("customer", "mer_1/c-17"), "bob", before)
    found, sound = (await list_entries(deps, "known", None, 10, with_removed=False))["data"]
    assert (found["warning"], sound["warning"]) == (refused["detail"], None)
    assert (await remove_entry(deps, "known", found["id"], BOB))["warning"] == refused["detail"]


async def test_two_who_change_a_list_at_once_are_both_seen_by_all(deps: Deps) -> None:
    """Changes are numbered as they commit: a process that has seen one missed none before it."""
    await with_rule(deps)
    async with open_deps(deps.settings) as other:
        following = True

        async def follow() -> int:
            seen = 0
            while following:
                seen += await follow_lists(other)
                await asyncio.sleep(0)
            return seen + await follow_lists(other)

        follower = asyncio.create_task(follow())
        await asyncio.gather(
            *(add_entries(deps, "stolen", [entry(f"tok_{n}_{m}") for m in range(5)], BOB) for n in range(10))
        )
        following = False
        assert await follower == 50


async def test_pages_limits_and_names(deps: Deps) -> None:
    await with_rule(deps)
    await add_entries(deps, "stolen", [entry(f"tok_{n}") for n in range(5)], BOB)
    page = await list_entries(deps, "stolen", None, 3, with_removed=False)
    rest = await list_entries(deps, "stolen", page["next_cursor"], 3, with_removed=False)
    assert [one["value"] for one in page["data"] + rest["data"]] == [f"tok_{n}" for n in range(4, -1, -1)]
    assert rest["next_cursor"] is None
    with pytest.raises(ListExists):
        await make_list(deps, "stolen", ListType.IP, None, BOB)
    for call in (
        add_entries(deps, "nope", [entry()], BOB),
        list_entries(deps, "nope", None, 1, with_removed=False),
        list_hits(deps, "nope", None, 1),
        remove_entry(deps, "stolen", 10**9, BOB),
    ):
        with pytest.raises(NotFound):
            await call


async def test_the_lists_of_all_processes_are_bounded(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    await with_rule(deps)
    monkeypatch.setattr("risk_engine.operations.manage_lists.ENTRIES_MAX", 3)
    await add_entries(deps, "stolen", [entry(f"tok_{n}") for n in range(3)], BOB)
    with pytest.raises(TooManyEntries):
        await add_entries(deps, "stolen", [entry("tok_4")], BOB)


async def test_what_ended_long_ago_is_forgotten(deps: Deps) -> None:
    await with_rule(deps)
    ends = deps.clock.now() - timedelta(days=1)
    await add_entries(deps, "stolen", [entry(), entry("tok_old", expires_at=ends)], BOB)
    async with deps.engine.begin() as conn:
        assert await lists.prune(conn, deps.clock.now()) == 1
    assert len((await list_entries(deps, "stolen", None, 10, with_removed=True))["data"]) == 1


async def test_entries_that_ended_leave_room_for_others(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    await with_rule(deps)
    monkeypatch.setattr("risk_engine.operations.manage_lists.ENTRIES_MAX", 1)
    ended = deps.clock.now() - timedelta(seconds=1)
    await add_entries(deps, "stolen", [entry(expires_at=ended)], BOB)
    (added,) = await add_entries(deps, "stolen", [entry("tok_2")], BOB)
    assert added["result"] == "added"


async def test_a_list_that_speaks_of_thousands_is_a_lead_s(deps: Deps) -> None:
    with pytest.raises(LeadNeeded):
        await make_list(deps, "places", ListType.COUNTRY, None, BOB)
    await make_list(deps, "places", ListType.COUNTRY, None, ADA)
    with pytest.raises(LeadNeeded):
        await add_entries(deps, "places", [entry("DE")], BOB)
    (added,) = await add_entries(deps, "places", [entry("DE")], ADA)
    with pytest.raises(LeadNeeded):
        await remove_entry(deps, "places", added["id"], BOB)
