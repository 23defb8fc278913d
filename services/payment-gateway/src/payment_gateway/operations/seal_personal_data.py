"""Seal what an older version kept in clear: payers, customers, billing details, evidence. A job until none is left.

Only rows that may change are reached. Events that were told before, and copies of them elsewhere, stay as they are
(docs/privacy.md says where, and how long).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from payment_gateway.domain.customer import NOTHING_SAID
from payment_gateway.domain.personal_data import (
    Subject,
    method_reference,
    of_merchant,
    opened,
    payer_reference,
    saved_reference,
)
from payment_gateway.store import unsealed
from payment_gateway.store.customers import in_clear
from platform_kit import canonical

if TYPE_CHECKING:
    from payment_gateway.operations.deps import Deps

BATCH: Final = 200  # rows of one transaction, each with two statements of the vault at most for 64


async def seal_personal_data(deps: Deps, batch: int = BATCH) -> int:
    """How many rows were sealed; 0 where there is no vault. May run anywhere and at once: a batch is locked."""
    if not deps.vault.is_open:
        return 0
    sealed = 0
    for seal_some in (_payers, _customers, _billing_details, _evidence):
        while done := await seal_some(deps, batch):
            sealed += done
    canonical.add(sealed=sealed)
    return sealed


async def _subjects(deps: Deps, rows: Sequence[Any], reference_of: Callable[[Any], str]) -> Sequence[Subject]:
    """All at once: they share their statements."""
    return await asyncio.gather(*(deps.subjects.of(row.merchant_id, reference_of(row)) for row in rows))


async def _payers(deps: Deps, batch: int) -> int:
    async with deps.engine.begin() as connection:
        found = await unsealed.lock_payments(connection, batch)
        subjects = await _subjects(deps, found, lambda row: payer_reference(row.customer, row.id))
        rows = [
            {"id": row.id, "customer": subject.seal(row.customer)}
            for row, subject in zip(found, subjects, strict=True)
        ]
        await unsealed.seal_payments(connection, rows)
    return len(found)


async def _customers(deps: Deps, batch: int) -> int:
    async with deps.engine.begin() as connection:
        found = await unsealed.lock_customers(connection, batch)
        subjects = await _subjects(deps, found, lambda row: saved_reference(row.id))
        sealed_before = await deps.subjects.of_all(
            {(row.merchant_id, row.personal["subject"]) for row in found if row.personal}
        )
        rows: list[dict[str, Any]] = []
        for row, subject in zip(found, subjects, strict=True):
            # A process of the older version may have changed a sealed row: what it wrote is laid over.
            before = opened(row.personal, of_merchant(sealed_before, row.merchant_id)) if row.personal else {}
            said = {name: before.get(name, empty) for name, empty in NOTHING_SAID.items()} | in_clear(row)
            email = said["email"]
            hidden = deps.subjects.hidden(row.merchant_id, f"email:{email}") if email else None
            rows.append({"id": row.id, "personal": subject.seal(said), "email_hash": hidden})
        await unsealed.seal_customers(connection, rows)
    return len(found)


async def _billing_details(deps: Deps, batch: int) -> int:
    async with deps.engine.begin() as connection:
        found = await unsealed.lock_payment_methods(connection, batch)
        subjects = await _subjects(deps, found, lambda row: method_reference(row.id))
        rows = [
            {"id": row.id, "billing_details": subject.seal(row.billing_details)}
            for row, subject in zip(found, subjects, strict=True)
        ]
        await unsealed.seal_payment_methods(connection, rows)
    return len(found)


async def _evidence(deps: Deps, batch: int) -> int:
    """Under the key of who paid, as `answer_dispute` seals it; of somebody who is erased it is emptied."""
    async with deps.engine.begin() as connection:
        found = await unsealed.lock_disputes(connection, batch)
        payers = await deps.subjects.of_all({(row.merchant_id, row.payer) for row in found if row.payer})
        nameless = [row for row in found if row.payer is None]
        made = await _subjects(deps, nameless, lambda row: payer_reference({}, row.payment_id))
        of_payment = {row.id: subject for row, subject in zip(nameless, made, strict=True)}
        rows = [
            {"id": row.id, "evidence": subject.seal(row.evidence) if subject else {}}
            for row in found
            for subject in [payers.get((row.merchant_id, row.payer)) if row.payer else of_payment[row.id]]
        ]
        await unsealed.seal_disputes(connection, rows)
    return len(found)
