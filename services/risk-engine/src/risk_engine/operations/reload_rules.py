"""Follow the published rule set: every api process decides with it within two seconds.

Pub/sub wakes, a poll of one indexed row catches what pub/sub lost. The new set is compiled off to the side and
swapped in by one assignment. A set that does not compile here (saved by newer code) is refused loudly, and the last
good one stays.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from platform_kit.db import each_by_itself
from platform_kit.logging import get_logger
from platform_kit.process import sleep_unless
from risk_engine.clients.cel import compile_document
from risk_engine.domain.rule_documents import InvalidRuleSet
from risk_engine.operations import metrics
from risk_engine.operations.deps import Deployed, Deps
from risk_engine.operations.manage_lists import follow_lists
from risk_engine.operations.publish_rule_set import CHANNEL, publish_first_rule_set
from risk_engine.operations.snooze_rules import follow_snoozes
from risk_engine.store import rule_sets
from risk_engine.store.rule_sets import Publication

POLL_S = 0.5  # a quarter of the two seconds promised; the query is one index probe
RETRY_S = 0.5

log = get_logger(__name__)


async def reload_rules(deps: Deps) -> bool:
    """Compare with the live publication and swap if it is another; True when it was swapped.

    Raises SQLAlchemyError or OSError when Postgres is away: the process goes on with what it has.
    """
    async with each_by_itself(deps.engine).connect() as conn:
        live = await rule_sets.live(conn)
        if live is None or live.id in (deps.rules.publication, deps.rules.refused):
            return False
        documents = {
            name: await rule_sets.document(conn, name) or {}
            for name in (live.rule_set, live.challenger)
            if name
        }
    try:
        deps.rules.deployed = await asyncio.to_thread(_deployed, live, documents)
    except InvalidRuleSet as refused:
        log.error(
            "published rule set refused, the last good one stays", rule_set=live.rule_set, error=str(refused)
        )
        deps.rules.refused = live.id
        metrics.rule_set_refused.set(1)
        return False
    metrics.rule_set_refused.set(0)
    metrics.rule_set_publication.set(live.id)
    log.info("rule set in use", rule_set=live.rule_set, challenger=live.challenger, publication=live.id)
    return True


def _deployed(live: Publication, documents: Mapping[str, Mapping[str, Any]]) -> Deployed:
    sets = {name: compile_document(document) for name, document in documents.items()}
    challenger = sets[live.challenger] if live.challenger else None
    return Deployed(sets[live.rule_set], challenger, live.share_bp or 0, live.id)


async def watch_rules(deps: Deps, stop: asyncio.Event) -> None:
    """Publish the first set if there is none, then follow the pointer and the lists until `stop`."""
    woken, failures = asyncio.Event(), 0
    listener = asyncio.create_task(_listen(deps, woken, stop))
    try:
        while not stop.is_set():
            woken.clear()
            try:
                if deps.rules.publication == 0:
                    await publish_first_rule_set(deps)
                await follow_lists(deps)
                await follow_snoozes(deps)
                await reload_rules(deps)
                failures = 0
            except (SQLAlchemyError, OSError) as error:
                failures += 1
                if failures in {1, 10} or failures % 100 == 0:
                    log.warning("rule sets not readable", error=repr(error), failures=failures)
            except Exception:  # of newer code's rows, or a compiler's: whoever watches must not end
                failures += 1
                if failures in {1, 10} or failures % 100 == 0:
                    log.exception("rule sets not followed", failures=failures)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await woken.wait()
    finally:
        listener.cancel()
        with suppress(asyncio.CancelledError):
            await listener


async def _listen(deps: Deps, woken: asyncio.Event, stop: asyncio.Event) -> None:
    """Wake the poll when somebody announces a publication."""
    while not stop.is_set():
        try:
            async with deps.redis.pubsub() as pubsub:
                await pubsub.subscribe(CHANNEL)
                while not stop.is_set():
                    if await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0):
                        woken.set()
        except (RedisError, OSError):
            await sleep_unless(stop, RETRY_S)
