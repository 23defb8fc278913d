"""Rule sets before they decide: check a document, save it, have a second person approve it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from platform_kit.logging import get_logger
from platform_kit.problems import NotFound, Problem
from risk_engine.clients.cel import compile_rules
from risk_engine.clients.cel_types import check_types
from risk_engine.domain.rule_documents import InvalidRuleSet, parse_rule_set
from risk_engine.domain.rules import RuleSet
from risk_engine.domain.staff import Actor
from risk_engine.operations.deps import Deps
from risk_engine.store import backtests, lists, rule_sets

log = get_logger(__name__)


class InvalidRule(Problem):
    status, code, title = 422, "invalid-rule", "The rule set is not acceptable"

    def __init__(self, refused: InvalidRuleSet) -> None:
        where, why = refused.faults[0]
        errors = [{"rule": name, "detail": reason} for name, reason in refused.faults[:20]]
        super().__init__(f"{where}: {why}", errors=errors)


class NotBacktested(Problem):
    status, code, title = 409, "not-backtested", "Nobody knows what this rule set would have done"


class SecondPersonNeeded(Problem):
    status, code, title = 409, "second-person-needed", "Whoever saved a rule set cannot approve it"


async def check_rule_set(deps: Deps, document: Mapping[str, Any]) -> RuleSet:
    """The set that a document describes, found fit to decide; nothing is stored. Raises InvalidRule naming every rule
    at fault, where in it and why."""
    async with deps.engine.connect() as conn:
        there_are = await lists.types(conn)
    try:  # beside the loop: 500 rules take a third of a second, and live decisions go on
        return await asyncio.to_thread(_checked, document, there_are)
    except InvalidRuleSet as refused:
        raise InvalidRule(refused) from None


def _checked(document: Mapping[str, Any], there_are: Iterable[str]) -> RuleSet:
    rule_set = parse_rule_set(document)
    check_types(rule_set, there_are)
    return compile_rules(rule_set).rule_set


async def save_rule_set(deps: Deps, document: Mapping[str, Any], by: Actor) -> dict[str, Any]:
    """Store a checked set under its content hash; the same content again is the same set. Raises InvalidRule."""
    rule_set = await check_rule_set(deps, document)
    async with deps.engine.begin() as conn:
        await rule_sets.add(conn, rule_set.hash, rule_set.name, rule_set.document, by.name)
        saved = await rule_sets.find(conn, rule_set.hash)
    return saved or {}


async def approve_rule_set(deps: Deps, rule_set: str, note: str | None, by: Actor) -> dict[str, Any]:
    """The set with its approval; a second approval changes nothing. Raises NotFound,
    SecondPersonNeeded, NotBacktested."""
    async with deps.engine.begin() as conn:
        found = await rule_sets.find(conn, rule_set)
        if found is None:
            raise NotFound("No rule set has this hash; save it first.")
        if found["saved_by"] == by.name:
            raise SecondPersonNeeded("Ask another lead to read and approve it.")
        if not await backtests.is_done(conn, rule_set):
            raise NotBacktested(
                "Try it on stored decisions first (POST /v1/backtests) and read what it found."
            )
        await rule_sets.approve(conn, rule_set, found["saved_by"], by.name, note)
        approved = await rule_sets.find(conn, rule_set)
    log.info("rule set approved", rule_set=rule_set, by=by.name)
    return approved or {}


async def list_rule_sets(deps: Deps, limit: int) -> Sequence[dict[str, Any]]:
    """Saved sets, newest first; `status` says how far each has come."""
    async with deps.engine.connect() as conn:
        return await rule_sets.newest(conn, limit)


async def get_rule_set(deps: Deps, rule_set: str) -> dict[str, Any]:
    """A set with its content. Raises NotFound."""
    async with deps.engine.connect() as conn:
        found, document = await rule_sets.find(conn, rule_set), await rule_sets.document(conn, rule_set)
    if found is None:
        raise NotFound("No rule set has this hash.")
    return found | {"document": document}
