"""Read payments and their refunds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from payment_gateway.domain.payment import Payment
from payment_gateway.domain.refund import Refund
from payment_gateway.operations.deps import Deps
from payment_gateway.store import payments, refunds
from platform_kit.ids import is_id
from platform_kit.problems import NotFound


@dataclass(frozen=True, slots=True)
class Page:
    """`next_before` is the id to continue before; None at the end."""

    payments: Sequence[Payment]
    next_before: str | None


async def get_payment(deps: Deps, merchant_id: str, payment_id: str) -> Payment:
    """Raises NotFound, also for another merchant's payment."""
    payment = None
    if is_id("pay", payment_id):  # anything else is no payment's, and Postgres would choke on some of it
        async with deps.engine.connect() as connection:
            payment = await payments.get(connection, payment_id, merchant_id)
    if payment is None:
        raise NotFound("This merchant has no such payment.")
    return payment


async def list_payments(
    deps: Deps, merchant_id: str, *, before: str | None, limit: int, status: str | None, reference: str | None
) -> Page:
    """Newest first, by keyset: stable while payments are added."""
    async with deps.engine.connect() as connection:
        found = await payments.page(
            connection, merchant_id, before=before, limit=limit + 1, status=status, reference=reference
        )
    more = len(found) > limit
    return Page(found[:limit], found[limit - 1].id if more else None)


async def list_refunds(deps: Deps, merchant_id: str, payment_id: str) -> Sequence[Refund]:
    """Oldest first. Raises NotFound."""
    payment = await get_payment(deps, merchant_id, payment_id)
    async with deps.engine.connect() as connection:
        return await refunds.of_payment(connection, payment.id)
