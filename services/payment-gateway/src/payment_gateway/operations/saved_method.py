"""What a payment is charged with when it names a saved payment method or a customer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payment_gateway.domain.customer import is_usable_for
from payment_gateway.domain.personal_data import Subject, named_reference, payer_reference
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.manage_customers import get_customer
from payment_gateway.operations.manage_payment_methods import usable_payment_method
from payment_gateway.operations.problems import UnknownReference
from platform_kit.problems import NotFound, Problem


class WrongCustomer(Problem):
    status, code, title = 422, "payment-method-of-another-customer", "This payment method is somebody else's"


async def with_saved(
    deps: Deps,
    merchant_id: str,
    *,
    payment_method: str | None,
    customer_id: str | None,
    method: Mapping[str, Any] | None,
    customer: Mapping[str, Any] | None,
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """`method` and `customer` of a payment, with what was saved in the place of what was named.

    Raises 422 for what this merchant does not have, PaymentMethodDetached, WrongCustomer.
    """
    try:
        if customer_id is not None:
            await get_customer(deps, merchant_id, customer_id)
        if payment_method is not None:
            saved = await usable_payment_method(deps, merchant_id, payment_method)
            if not is_usable_for(saved, customer_id):
                raise WrongCustomer("Name its own customer, or none.")
            method, customer_id = saved.stored, saved.customer_id or customer_id
    except NotFound as missing:
        raise UnknownReference(missing.detail) from None
    return method, {**(customer or {}), "id": customer_id} if customer_id else customer


async def known_payer(deps: Deps, merchant_id: str, customer: Mapping[str, Any] | None) -> Subject | None:
    """Who has paid before; None for somebody new. Whom nothing but the payment names is new. Raises VaultClosed."""
    reference = named_reference(customer or {})
    return await deps.subjects.find(merchant_id, reference) if reference else None


async def sealed_payer(
    deps: Deps,
    merchant_id: str,
    payment_id: str,
    customer: Mapping[str, Any] | None,
    known: Subject | None = None,
) -> Mapping[str, Any] | None:
    """A payment's `customer` as it is kept: sealed under the key of whom it is about, who may be known already.
    Raises VaultClosed."""
    if not customer:
        return None
    subject = known or await deps.subjects.of(merchant_id, payer_reference(customer, payment_id))
    return subject.seal(customer)
