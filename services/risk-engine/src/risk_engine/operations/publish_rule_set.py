"""Save, publish and list rule sets. A set that is saved can be published: it was compiled and tested first."""

from collections.abc import Mapping, Sequence
from typing import Any

from redis.exceptions import RedisError

from platform_kit.logging import get_logger
from platform_kit.problems import NotFound, Problem
from risk_engine.clients.cel import compile_rules
from risk_engine.domain.rule_documents import InvalidRuleSet, parse_rule_set
from risk_engine.domain.rules import RuleSet
from risk_engine.operations.deps import Deps
from risk_engine.store import rule_sets
from risk_engine.store.rule_sets import Publication

CHANNEL = "risk:rule-sets"  # pub/sub: wakes the other processes; their poll catches what it loses

log = get_logger(__name__)


class InvalidRule(Problem):
    status, code, title = 422, "invalid-rule", "The rule set is not acceptable"

    def __init__(self, refused: InvalidRuleSet) -> None:
        where, why = refused.faults[0]
        errors = [{"rule": name, "detail": reason} for name, reason in refused.faults[:20]]
        super().__init__(f"{where}: {why}", errors=errors)


async def save_rule_set(deps: Deps, document: Mapping[str, Any]) -> RuleSet:
    """Store a set under its content hash; the same content again is the same set. Raises InvalidRule."""
    try:
        rule_set = compile_rules(parse_rule_set(document)).rule_set
    except InvalidRuleSet as refused:
        raise InvalidRule(refused) from None
    async with deps.engine.begin() as conn:
        await rule_sets.add(conn, rule_set.hash, rule_set.name, rule_set.document)
    return rule_set


async def publish_rule_set(deps: Deps, rule_set: str) -> Publication:
    """Make a saved set live: this process at its next poll, like all others. Raises NotFound."""
    async with deps.engine.begin() as conn:
        if await rule_sets.document(conn, rule_set) is None:
            raise NotFound("No rule set has this hash; save it first.")
        publication = await rule_sets.publish(conn, rule_set)
    try:
        await deps.redis.publish(CHANNEL, str(publication.id))
    except (RedisError, OSError) as error:
        log.warning("not announced, the poll will see it", error=repr(error), publication=publication.id)
    log.info("rule set published", rule_set=rule_set, publication=publication.id)
    return publication


async def publish_first_rule_set(deps: Deps) -> Publication:
    """Publish the set that this process started with when none was ever published; returns the live one."""
    packaged = deps.rules.compiled.rule_set
    async with deps.engine.begin() as conn:
        await rule_sets.lock(conn)
        if live := await rule_sets.live(conn):
            return live
        await rule_sets.add(conn, packaged.hash, packaged.name, packaged.document)
        return await rule_sets.publish(conn, packaged.hash)


async def list_rule_sets(deps: Deps, limit: int) -> Sequence[dict[str, Any]]:
    """Saved sets, newest first, with the live one marked."""
    async with deps.engine.connect() as conn:
        return await rule_sets.newest(conn, limit)


async def get_rule_set(deps: Deps, rule_set: str) -> dict[str, Any]:
    """A set's content. Raises NotFound."""
    async with deps.engine.connect() as conn:
        document = await rule_sets.document(conn, rule_set)
    if document is None:
        raise NotFound("No rule set has this hash.")
    return {"hash": rule_set, "object": "rule_set", "document": document}
