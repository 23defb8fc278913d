"""What a scan of everything found after an erasure, kept with its request; and what it has to look for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from payment_gateway.domain.audit import Actor, Entry
from payment_gateway.domain.erasure import Erasure, ErasureStatus, erasure_object
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.erase_subjects import forget_sought
from payment_gateway.store import audit_log, erasures
from payment_gateway.store.pages import Page
from platform_kit.ids import is_id
from platform_kit.problems import NotFound, Problem

CLEAN = "clean"


class NotErasedYet(Problem):
    status, code, title = 409, "not-erased-yet", "This erasure still waits"


async def list_all_erasures(deps: Deps, *, before: str | None, limit: int) -> Page[Erasure]:
    """Of all merchants, the newest first."""
    async with deps.engine.connect() as connection:
        return await erasures.newest(connection, before, limit)


async def find_sought(deps: Deps, erasure_id: str, by: Actor) -> Mapping[str, Any]:
    """The erasure with what a scan looks for, in clear; who asked for that is written down.

    Raises NotFound, NotErasedYet."""
    async with deps.engine.begin() as connection:
        erasure = await _found(deps, erasure_id)
        if erasure.status is not ErasureStatus.ERASED:
            raise NotErasedYet("There is nothing to prove before the keys are destroyed.")
        await audit_log.record(connection, by, Entry("erasure.values_read", erasure.merchant_id, erasure.id))
    opened = await deps.subjects.opened(erasure.merchant_id, erasure.sought) if erasure.sought else {}
    return erasure_object(erasure) | {"sought": opened.get("values")}


async def attach_report(deps: Deps, erasure_id: str, report: Mapping[str, Any], by: Actor) -> Erasure:
    """The erasure with the report of a scan. A clean one ends it: what was looked for is forgotten, too. One that is
    not stays until a later scan is. Raises NotFound, NotErasedYet."""
    await _found(deps, erasure_id)
    async with deps.engine.begin() as connection:
        erasure = (await erasures.lock(connection, [erasure_id]))[erasure_id]
        if erasure.status is not ErasureStatus.ERASED:
            raise NotErasedYet("A scan proves nothing while the keys are there.")
        reported = replace(erasure, report=report, reported_at=deps.clock.now())
        await erasures.save(connection, reported)
        told = {"verdict": report["verdict"]}
        await audit_log.record(
            connection, by, Entry("erasure.reported", erasure.merchant_id, erasure.id, told)
        )
    if report["verdict"] == CLEAN:
        await forget_sought(deps, erasure_id)
    return reported


async def _found(deps: Deps, erasure_id: str) -> Erasure:
    found = None
    if is_id("ers", erasure_id):
        async with deps.engine.connect() as connection:
            found = await erasures.get(connection, erasure_id)
    if found is None:
        raise NotFound("There is no such erasure.")
    return found
