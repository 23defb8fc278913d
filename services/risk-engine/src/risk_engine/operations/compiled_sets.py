"""Stored rule sets, compiled: for those who ask them about payments of the past."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncConnection

from risk_engine.clients.cel import CompiledRuleSet, compile_document
from risk_engine.operations.deps import Deps
from risk_engine.store import rule_sets

KEPT_MAX = 8  # a replay meets the sets of a few publications, one after the other


async def compiled_set(deps: Deps, conn: AsyncConnection, rule_set: str) -> CompiledRuleSet | None:
    """The set with this hash, compiled once per process; None when it is not stored. Raises InvalidRuleSet for one of
    other code."""
    if found := deps.compiled_sets.get(rule_set):
        return found
    document = await rule_sets.document(conn, rule_set)
    if document is None:
        return None
    made = await asyncio.to_thread(lambda: compile_document(document))
    while len(deps.compiled_sets) >= KEPT_MAX:
        del deps.compiled_sets[next(iter(deps.compiled_sets))]
    deps.compiled_sets[rule_set] = made
    return made
