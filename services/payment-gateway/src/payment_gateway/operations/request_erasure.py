"""Ask that somebody be forgotten: their subjects are closed at once, their keys die a little later (erase_subjects.py).

Whom: a saved customer, the merchant's own id of a payer, an e-mail of payers without an id, or the payer of a payment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from payment_gateway.domain.audit import Actor, Entry, StoredEntry
from payment_gateway.domain.erasure import Erasure, ErasureStatus, erasure_object
from payment_gateway.domain.personal_data import payer_reference, saved_reference
from payment_gateway.operations.answer_request import Answer, find_stored
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.find_payments import get_payment
from payment_gateway.operations.gather_sought import gather_sought, with_billing_details
from payment_gateway.operations.manage_customers import delete_customers_of, get_customer
from payment_gateway.operations.problems import UnknownReference
from payment_gateway.operations.write_once import write_once
from payment_gateway.store import audit_log, erasures, unsealed
from payment_gateway.store.commit import Locked, RowKind
from payment_gateway.store.pages import Page, Window
from payment_gateway.store.tenancy import as_merchant
from platform_kit.idempotency import IdempotencyKey
from platform_kit.ids import is_id, new_id
from platform_kit.problems import NotFound, Unavailable


class StillSealing(Unavailable):
    code, title = "still-sealing", "Personal data of an older version is being sealed"

    def __init__(self) -> None:
        super().__init__("What is not sealed yet could be missed. Ask again in a minute.", 60)


@dataclass(frozen=True, slots=True)
class RequestErasure:
    """Exactly one of the four says whom."""

    merchant_id: str
    key: IdempotencyKey
    by: Actor
    customer_id: str | None = None
    customer: str | None = None
    email: str | None = None
    payment_id: str | None = None


async def request_erasure(deps: Deps, command: RequestErasure) -> Answer:
    """201 with the erasure, which waits. Saved customers are deleted at once.

    Raises UnknownReference for somebody of whom nothing is held, StillSealing, VaultClosed, KeyReused, KeyInProgress.
    """
    erasure_id = new_id("ers")
    wanted = command.key.claim(f"{command.merchant_id} POST /v1/erasures", erasure_id)
    if stored := await find_stored(deps, wanted):
        return stored
    async with deps.engine.connect() as connection:
        if await unsealed.is_any(connection, command.merchant_id):
            raise StillSealing()
    merchant_id = command.merchant_id
    held = await deps.subjects.by_id(merchant_id, await _subjects(deps, command))  # that have a key still
    if not held:
        raise UnknownReference("Nothing is held of them, or it was erased before.")
    subjects = await with_billing_details(deps, merchant_id, sorted(held))
    sought = await gather_sought(deps, merchant_id, erasure_id, subjects)
    await deps.subjects.close(merchant_id, subjects)  # first: what waits must be closed, whatever comes next

    def decide(locked: Locked) -> tuple[tuple[tuple[RowKind, Any], ...], Mapping[str, Any]]:
        made = Erasure(
            id=erasure_id,
            merchant_id=merchant_id,
            status=ErasureStatus.WAITING,
            subjects=list(subjects),
            blocked_by=[],
            sought=sought,
            created_at=locked.now,
            due_at=locked.now + deps.subjects.let_go_after,
        )
        entry = Entry("erasure.requested", made.merchant_id, made.id, {"subjects": list(subjects)})
        told = StoredEntry(new_id("aud"), entry, command.by, locked.now)
        return ((erasures, made), (audit_log, told)), erasure_object(made)

    answer = await write_once(deps, wanted, decide)
    if not answer.replayed:
        await delete_customers_of(deps, merchant_id, subjects)
    return answer


async def _subjects(deps: Deps, command: RequestErasure) -> Sequence[str]:
    """The tokens of who is meant, those too that an earlier request has closed."""
    merchant_id = command.merchant_id
    try:
        if command.payment_id is not None:
            payment = await get_payment(deps, merchant_id, command.payment_id)
            # evidence of a payment of nobody in particular is kept under the payment's own name
            nameless = await deps.subjects.known(merchant_id, [payer_reference({}, payment.id)])
            return sorted({*nameless, *([payment.customer["subject"]] if payment.customer else [])})
        if command.customer_id is not None:
            customer = await get_customer(deps, merchant_id, command.customer_id)
            return await deps.subjects.known(merchant_id, [saved_reference(customer.id)])
    except NotFound as missing:
        raise UnknownReference(missing.detail) from None
    reference = f"id:{command.customer}" if command.customer else f"email:{(command.email or '').lower()}"
    return await deps.subjects.known(merchant_id, [reference])


async def get_erasure(deps: Deps, merchant_id: str, erasure_id: str) -> Erasure:
    """Raises NotFound, also for another merchant's."""
    found = None
    if is_id("ers", erasure_id):
        async with as_merchant(deps.engine, merchant_id) as connection:
            found = await erasures.get(connection, erasure_id)
    if found is None:
        raise NotFound("This merchant has no such erasure.")
    return found


async def list_erasures(deps: Deps, merchant_id: str, window: Window) -> Page[Erasure]:
    """Newest first."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await erasures.page(connection, merchant_id, window)
