"""What decides: publish an approved set, try one beside it, go back. Each is a new row that says who and why."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat
from platform_kit.logging import get_logger
from platform_kit.problems import NotFound, Problem
from risk_engine.domain.staff import Actor
from risk_engine.domain.trial import difference
from risk_engine.operations.deps import Deps
from risk_engine.operations.reference_currency import require_one_currency
from risk_engine.store import rule_sets
from risk_engine.store.rule_sets import Publication

CHANNEL = "risk:rule-sets"  # pub/sub: wakes the other processes; their poll catches what it loses
TRIAL_LOOKS_BACK = timedelta(days=7)  # each day of the week once; every look counts the payments of it
THE_PLATFORM = "system:platform"  # no name that a person may have

log = get_logger(__name__)


class NotApproved(Problem):
    status, code, title = 409, "not-approved", "This rule set was not approved"


class NothingBefore(Problem):
    status, code, title = 409, "nothing-before", "There is no earlier rule set to go back to"


class NoTrial(Problem):
    status, code, title = 409, "no-trial", "No rule set is on trial"


class AlreadyLive(Problem):
    status, code, title = 409, "already-live", "This rule set decides already"


async def publish_rule_set(deps: Deps, rule_set: str, by: Actor) -> Publication:
    """Make an approved set live and end a trial, for every process within two seconds. Raises NotFound, NotApproved,
    OtherCurrency."""
    async with deps.engine.begin() as conn:
        await rule_sets.lock(conn)
        await _approved(conn, rule_set)
        publication = await rule_sets.publish(conn, rule_set, "publish", by.name)
    return await _announce(deps, publication)


async def roll_back(deps: Deps, by: Actor) -> Publication:
    """Make the set live again that decided before this one: no approval, it had one. Raises NothingBefore."""
    async with deps.engine.begin() as conn:
        await rule_sets.lock(conn)
        live = await rule_sets.live(conn)
        earlier = await rule_sets.before(conn, live.rule_set) if live else None
        if earlier is None:
            raise NothingBefore("The set that decides now is the first there was.")
        publication = await rule_sets.publish(conn, earlier, "rollback", by.name)
    return await _announce(deps, publication)


async def begin_trial(deps: Deps, rule_set: str, share_bp: int, by: Actor) -> Publication:
    """Have an approved set judge every payment beside the live one and decide `share_bp` basis points of them; a new
    trial takes the place of one that runs. Raises NotFound, NotApproved, AlreadyLive, OtherCurrency."""
    async with deps.engine.begin() as conn:
        await rule_sets.lock(conn)
        live = await rule_sets.live(conn)
        await _approved(conn, rule_set)
        if live is None or live.rule_set == rule_set:
            raise AlreadyLive("Try another set beside it.")
        publication = await rule_sets.publish(conn, live.rule_set, "trial", by.name, rule_set, share_bp)
    return await _announce(deps, publication)


async def end_trial(deps: Deps, by: Actor) -> Publication:
    """Let the live set decide alone again. Raises NoTrial."""
    async with deps.engine.begin() as conn:
        await rule_sets.lock(conn)
        live = await rule_sets.live(conn)
        if live is None or live.challenger is None:
            raise NoTrial("There is nothing to end.")
        publication = await rule_sets.publish(conn, live.rule_set, "end_trial", by.name)
    return await _announce(deps, publication)


async def trial_report(deps: Deps) -> dict[str, Any]:
    """How the challenger differs from the live set since the trial began, or in its last days. Raises NoTrial."""
    async with deps.engine.connect() as conn:
        live = await rule_sets.live(conn)
        if live is None or live.challenger is None:
            raise NoTrial("Begin one first.")
        since = max(live.published_at, deps.clock.now() - TRIAL_LOOKS_BACK)
        pairs = await rule_sets.pairs(conn, live.rule_set, live.challenger, since)
    found = {"since": isoformat(since)} | difference(pairs).as_answer()
    return live.as_answer() | {"object": "rule_set_trial", "difference": found}


async def publish_first_rule_set(deps: Deps) -> Publication:
    """Publish the set that this process started with when none was ever published; returns the live one."""
    packaged = deps.rules.compiled.rule_set
    async with deps.engine.begin() as conn:
        await rule_sets.lock(conn)
        if live := await rule_sets.live(conn):
            return live
        await rule_sets.add(conn, packaged.hash, packaged.name, packaged.document, THE_PLATFORM)
        return await rule_sets.publish(conn, packaged.hash, "publish", THE_PLATFORM)


async def publication_history(deps: Deps, limit: int) -> Sequence[dict[str, Any]]:
    """Everything that ever decided, newest first."""
    async with deps.engine.connect() as conn:
        return await rule_sets.history(conn, limit)


async def _approved(conn: AsyncConnection, rule_set: str) -> None:
    found = await rule_sets.find(conn, rule_set)
    if found is None:
        raise NotFound("No rule set has this hash; save it first.")
    if found["approved_by"] is None:
        raise NotApproved("Somebody else than who saved it approves it first.")
    await require_one_currency(conn, await rule_sets.document(conn, rule_set) or {})


async def _announce(deps: Deps, publication: Publication) -> Publication:
    try:
        await deps.redis.publish(CHANNEL, str(publication.id))
    except (RedisError, OSError) as error:
        log.warning("not announced, the poll will see it", error=repr(error), publication=publication.id)
    log.info("what decides has changed", **publication.as_answer())
    return publication
