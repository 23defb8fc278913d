"""Snooze a rule for what a payment has: its card, customer, device or address; and keep this process's copy in step."""

from datetime import datetime
from typing import Any

from redis.exceptions import RedisError

from platform_kit.db import each_by_itself
from platform_kit.ids import new_id
from platform_kit.logging import get_logger
from platform_kit.problems import NotFound, Problem
from risk_engine.domain.related_payments import linked_entities
from risk_engine.domain.snoozes import SNOOZE_MAX, SNOOZES_MAX, SnoozedBy, Snoozes
from risk_engine.domain.staff import Actor
from risk_engine.operations.deps import Deps
from risk_engine.operations.publish_rule_set import CHANNEL
from risk_engine.store import assessments, snoozes

log = get_logger(__name__)


class UnknownRule(Problem):
    status, code, title = 422, "unknown-rule", "The live rule set has no such rule"


class UnknownAssessment(Problem):
    status, code, title = 422, "unknown-assessment", "There is no such assessment"


class NothingToSnooze(Problem):
    status, code, title = 422, "nothing-to-snooze", "The payment does not have that"


class InvalidEnd(Problem):
    status, code, title = 422, "invalid-until", "The end of the snooze is not acceptable"


class TooManySnoozes(Problem):
    status, code, title = 409, "too-many-snoozes", "So many snoozes are in force that the rules should change"


async def snooze_rule(
    deps: Deps, actor: Actor, *, rule: str, by: SnoozedBy, assessment_id: str, until: datetime, reason: str
) -> dict[str, Any]:
    """From now to `until` hits of `rule` do not count for payments with the same card (customer, device, address) as
    the payment of `assessment_id`; all processes know within two seconds.

    Raises UnknownAssessment, UnknownRule, NothingToSnooze, InvalidEnd, TooManySnoozes."""
    now = deps.clock.now()
    if not now < until <= now + SNOOZE_MAX:
        raise InvalidEnd(
            f"Name a time within the next {SNOOZE_MAX.days} days; what is to last is a change of the rule."
        )
    if all(one.rule.id != rule for one in deps.rules.compiled.rules):
        raise UnknownRule("Name a rule of the live set by its id.")
    async with deps.engine.begin() as conn:
        found = await assessments.find(conn, assessment_id)
        if found is None:
            raise UnknownAssessment("Name the assessment of the payer's payment.")
        entities = linked_entities(found["merchant_id"], found["request"])
        entity = next((one for one in entities if one.startswith(f"{by}:")), None)
        if entity is None:
            raise NothingToSnooze(f"The payment came without a {by}; snooze by what it has.")
        entity = deps.fingerprints.upgraded_entity(entity)
        await snoozes.lock(conn)
        if await snoozes.count(conn, now) >= SNOOZES_MAX:
            raise TooManySnoozes(f"At most {SNOOZES_MAX}: end some, or change the rules.")
        values = {
            "id": new_id("snz"),
            "rule": rule,
            "by_what": by.value,
            "entity": entity,
            "assessment_id": assessment_id,
            "until": until,
            "reason": reason,
            "made_by": actor.name,
        }
        made = await snoozes.add(conn, values)
    await _announce(deps)
    return made


async def end_snooze(deps: Deps, actor: Actor, snooze_id: str) -> dict[str, Any]:
    """The rule counts again; the first time counts. Raises NotFound."""
    async with deps.engine.begin() as conn:
        await snoozes.lock(conn)
        ended = await snoozes.end(conn, snooze_id, actor.name)
    if ended is None:
        raise NotFound("No snooze has this id.")
    await _announce(deps)
    return ended


async def list_snoozes(deps: Deps, cursor: str | None, limit: int) -> dict[str, Any]:
    """A page, newest first, also of those that are over."""
    async with deps.engine.connect() as conn:
        rows = await snoozes.page(conn, cursor, limit + 1)
    return {"data": rows[:limit], "next_cursor": rows[limit - 1]["id"] if len(rows) > limit else None}


async def follow_snoozes(deps: Deps) -> bool:
    """Bring this process's copy up to date; True when something had changed. Raises SQLAlchemyError or OSError when
    Postgres is away: the process goes on with what it has, and each snooze ends by itself at its time."""
    async with each_by_itself(deps.engine).connect() as conn:
        change = await snoozes.newest_change(conn)
        if change == deps.snoozes.copy.change:
            return False
        # A change between the two reads is in the copy already, and is read once more by the next poll.
        in_force = await snoozes.in_force(conn, deps.clock.now())
        named = {
            (rule, deps.fingerprints.upgraded_entity(entity)): end for (rule, entity), end in in_force.items()
        }
        deps.snoozes.copy = Snoozes(named, change)
    return True


async def _announce(deps: Deps) -> None:
    """Wake the other processes; their poll catches what pub/sub loses."""
    try:
        await deps.redis.publish(CHANNEL, "snooze")
    except (RedisError, OSError) as error:
        log.warning("not announced, the poll will see it", error=repr(error))
