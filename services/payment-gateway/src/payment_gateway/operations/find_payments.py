"""Read payments and their refunds."""

from __future__ import annotations

from collections.abc import Sequence

from payment_gateway.domain.payment import Payment
from payment_gateway.domain.personal_data import saved_reference
from payment_gateway.domain.refund import Refund, RefundStatus
from payment_gateway.operations.deps import Deps
from payment_gateway.store import payments, refunds
from payment_gateway.store.pages import Page, Window
from payment_gateway.store.tenancy import as_merchant
from platform_kit.ids import is_id
from platform_kit.problems import NotFound


async def get_payment(deps: Deps, merchant_id: str, payment_id: str) -> Payment:
    """Raises NotFound, also for another merchant's payment."""
    payment = None
    if is_id("pay", payment_id):  # anything else is no payment's, and Postgres would choke on some of it
        async with as_merchant(deps.engine, merchant_id) as connection:
            payment = await payments.get(connection, payment_id, merchant_id)
    if payment is None:
        raise NotFound("This merchant has no such payment.")
    return payment


async def list_payments(deps: Deps, merchant_id: str, window: Window, **filters: str | None) -> Page[Payment]:
    """Newest first. `filters`: status, reference, customer (its id), channel_was_asked ("true" or "false")."""
    if customer := filters.pop("customer", None):
        known = await deps.subjects.known(merchant_id, [saved_reference(customer)])
        if not known:
            return Page([], has_more=False)
        filters["subjects"] = ",".join(
            known
        )  # one is closed, and not yet erased, when they came back meanwhile
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await payments.page(connection, merchant_id, window, **filters)


async def get_refund(deps: Deps, merchant_id: str, refund_id: str) -> Refund:
    """Raises NotFound, also for another merchant's refund."""
    refund = None
    if is_id("rf", refund_id):
        async with as_merchant(deps.engine, merchant_id) as connection:
            refund = await refunds.get(connection, refund_id, merchant_id)
    if refund is None:
        raise NotFound("This merchant has no such refund.")
    return refund


async def list_refunds(
    deps: Deps,
    merchant_id: str,
    window: Window,
    payment_id: str | None = None,
    status: RefundStatus | None = None,
) -> Page[Refund]:
    """Newest first; of one payment, of one status, when it is named."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await refunds.page(connection, merchant_id, window, payment_id=payment_id, status=status)


async def refunds_of(deps: Deps, merchant_id: str, payment_id: str) -> Sequence[Refund]:
    """All refunds of a payment, oldest first. Raises NotFound."""
    payment = await get_payment(deps, merchant_id, payment_id)
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await refunds.of_payment(connection, payment.id)
