"""Destroy the keys of those who are to be forgotten, unless a dispute needs to know them still. A job.

    look      a short transaction: disputes that are open block; what a scan must not find is gathered for the last time
    destroy   the vault's own transaction: key and reference go
    record    a short transaction: erased, evidence emptied, the audit log

A crash anywhere is repeated from the start, and each step changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from payment_gateway.domain.audit import THE_PLATFORM, Entry
from payment_gateway.domain.dispute import DisputeStatus
from payment_gateway.domain.erasure import SOUGHT_LIFETIME, Erasure, ErasureStatus
from payment_gateway.operations.gather_sought import gather_sought, with_billing_details
from payment_gateway.operations.manage_customers import delete_customers_of
from payment_gateway.store import audit_log, erasures
from platform_kit import canonical
from platform_kit.logging import get_logger

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from payment_gateway.operations.deps import Deps

RUN_MAX: Final = 50  # erasures of one run
LOOK_AGAIN: Final = timedelta(minutes=5)  # a dispute lasts for days; what fails is looked into by people
OVER: Final = frozenset({DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.WARNING_CLOSED})

log = get_logger(__name__)


async def erase_subjects(deps: Deps) -> int:
    """How many erasures were carried out. May run anywhere and at once."""
    if not deps.vault.is_open:
        return 0
    async with deps.engine.connect() as connection:
        due = await erasures.due(connection, RUN_MAX)
    erased = 0
    for erasure_id in due:
        try:
            erased += await _erase(deps, erasure_id)
        except Exception:  # that one cannot be erased must not keep the others
            log.exception("erasure failed", erasure_id=erasure_id)
            async with deps.engine.begin() as connection:
                await erasures.postpone(connection, erasure_id, deps.clock.now() + LOOK_AGAIN)
    canonical.add(erased=erased)
    return erased


async def forget_unreported(deps: Deps) -> int:
    """Of how many a report never came: what it would look for is forgotten all the same. May run anywhere."""
    if not deps.vault.is_open:
        return 0
    async with deps.engine.connect() as connection:
        old = await erasures.unreported(connection, deps.clock.now() - SOUGHT_LIFETIME, RUN_MAX)
    for erasure_id in old:
        await forget_sought(deps, erasure_id)
    canonical.add(forgotten=len(old))
    return len(old)


async def _erase(deps: Deps, erasure_id: str) -> bool:
    async with deps.engine.begin() as connection:
        erasure = await erasures.lock_free(connection, erasure_id)
        if erasure is None or erasure.status is ErasureStatus.ERASED:
            return False
        disputes = await erasures.disputes_of(connection, erasure.subjects)
        open_ones = [
            {"dispute_id": row.id, "status": row.status} for row in disputes if row.status not in OVER
        ]
        if open_ones:
            await _block(deps, connection, erasure, open_ones)
            return False
        gathered = await _gather(deps, erasure)
        await erasures.save(connection, gathered)
    await delete_customers_of(deps, erasure.merchant_id, gathered.subjects)
    if gathered.subjects != erasure.subjects:
        return False
    await deps.subjects.erase(erasure.merchant_id, erasure.subjects)
    return await _record(deps, erasure)


async def _gather(deps: Deps, erasure: Erasure) -> Erasure:
    """With all that can be read now and could not be at the request. Billing details of a customer whom a crash kept
    there are closed only now, and everybody has to let go of their keys, too: it is due again after that."""
    merchant_id = erasure.merchant_id
    subjects = await with_billing_details(deps, merchant_id, erasure.subjects)
    sought = await gather_sought(deps, merchant_id, erasure.id, subjects, before=erasure.sought)
    if subjects == erasure.subjects:
        return replace(erasure, sought=sought)
    await deps.subjects.close(merchant_id, subjects)
    due_at = deps.clock.now() + deps.subjects.let_go_after
    return replace(erasure, sought=sought, subjects=subjects, due_at=due_at)


async def _block(
    deps: Deps, connection: AsyncConnection, erasure: Erasure, disputes: Sequence[Mapping[str, str]]
) -> None:
    due_at = deps.clock.now() + LOOK_AGAIN
    if erasure.status is not ErasureStatus.BLOCKED:
        told = {"disputes": [one["dispute_id"] for one in disputes]}
        entry = Entry("erasure.blocked", erasure.merchant_id, erasure.id, told)
        await audit_log.record(connection, THE_PLATFORM, entry)
    blocked = replace(erasure, status=ErasureStatus.BLOCKED, blocked_by=disputes, due_at=due_at)
    await erasures.save(connection, blocked)


async def _record(deps: Deps, erasure: Erasure) -> bool:
    async with deps.engine.begin() as connection:
        now = deps.clock.now()
        held = await erasures.lock_free(connection, erasure.id)
        if held is None or held.status is ErasureStatus.ERASED:
            return False
        disputes = await erasures.disputes_of(connection, held.subjects)
        await erasures.empty_evidence(connection, [row.id for row in disputes])
        done = replace(held, status=ErasureStatus.ERASED, blocked_by=[], erased_at=now)
        await erasures.save(connection, done)
        entry = Entry("erasure.erased", held.merchant_id, held.id, {"subjects": list(held.subjects)})
        await audit_log.record(connection, THE_PLATFORM, entry)
    return True


async def forget_sought(deps: Deps, erasure_id: str) -> None:
    """Nothing is looked for any more: the clear values of the scan go the way of the rest."""
    async with deps.engine.begin() as connection:
        erasure = await erasures.lock_free(connection, erasure_id)
        if erasure is None or erasure.sought is None:
            return
        await deps.subjects.erase(erasure.merchant_id, [erasure.sought["subject"]])
        await erasures.save(connection, replace(erasure, sought=None))
