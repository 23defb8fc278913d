"""Customers: create, read, change, forget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from payment_gateway.domain.customer import NOTHING_SAID, Customer, PaymentMethod, customer_object
from payment_gateway.domain.personal_data import Subject, saved_reference
from payment_gateway.operations.answer_request import Answer, find_stored
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.forget_card import forget_cards
from payment_gateway.operations.write_once import write, write_once
from payment_gateway.store import customers, erasures, payment_methods
from payment_gateway.store.commit import Locked, RowKind
from payment_gateway.store.pages import Page, Window
from payment_gateway.store.tenancy import as_merchant
from platform_kit.idempotency import IdempotencyKey
from platform_kit.ids import is_id, new_id
from platform_kit.problems import NotFound, Problem


class BeingErased(Problem):
    status, code, title = 409, "being-erased", "This customer is being erased"


@dataclass(frozen=True, slots=True)
class CreateCustomer:
    """What a merchant says of somebody who pays."""

    merchant_id: str
    key: IdempotencyKey
    values: Mapping[str, Any]
    """Of name, email, description, metadata: those that were given."""


async def create_customer(deps: Deps, command: CreateCustomer) -> Answer:
    """Raises KeyReused, KeyInProgress, NotCommitted, VaultClosed."""
    customer_id = new_id("cus")
    wanted = command.key.claim(f"{command.merchant_id} POST /v1/customers", customer_id)
    if stored := await find_stored(deps, wanted):
        return stored
    subject = await deps.subjects.of(command.merchant_id, saved_reference(customer_id))
    kept = _kept(deps, subject, command.merchant_id, {**NOTHING_SAID, **command.values})

    def decide(locked: Locked) -> tuple[tuple[tuple[RowKind, Any], ...], Mapping[str, Any]]:
        made = Customer(customer_id, command.merchant_id, locked.now, locked.now, **kept)
        return ((customers, made),), customer_object(made)

    return await write_once(deps, wanted, decide)


async def get_customer(deps: Deps, merchant_id: str, customer_id: str) -> Customer:
    """Raises NotFound, also for another merchant's and for a deleted one."""
    found = None
    if is_id("cus", customer_id):
        async with as_merchant(deps.engine, merchant_id) as connection:
            found = await customers.get(connection, customer_id, merchant_id)
    if found is None:
        raise NotFound("This merchant has no such customer.")
    return found


async def list_customers(
    deps: Deps, merchant_id: str, window: Window, *, email: str | None
) -> Page[Customer]:
    """Newest first."""
    email_hash = deps.subjects.hidden(merchant_id, f"email:{email}") if email else None
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await customers.page(connection, merchant_id, window, email_hash=email_hash)


async def update_customer(
    deps: Deps,
    merchant_id: str,
    customer_id: str,
    changes: Mapping[str, Any],
    key: IdempotencyKey,
) -> Answer:
    """The customer with `changes`; what is not among them stays.

    Raises NotFound, KeyReused, KeyInProgress. BeingErased is an answer of the key.
    """
    customer = await get_customer(deps, merchant_id, customer_id)
    wanted = key.claim(f"{merchant_id} POST /v1/customers/{{id}}", new_id("req"))
    subject = await deps.subjects.of(merchant_id, saved_reference(customer.id))

    def decide(locked: Locked) -> tuple[tuple[tuple[RowKind, Any], ...], Mapping[str, Any]]:
        before = locked_customer(locked, customer.id, merchant_id)
        if before.personal and before.personal["subject"] != subject.id:
            raise BeingErased("Create another one.")  # the key of what was said is closed, or gone
        said = subject.open(before.personal) if before.personal else NOTHING_SAID
        kept = _kept(deps, subject, merchant_id, {**said, **before.in_clear, **changes})
        changed = replace(before, **kept, in_clear={}, updated_at=locked.now)
        return ((customers, changed),), customer_object(changed)

    return await write_once(deps, wanted, decide, also=((customers, customer.id),), status=200)


async def delete_customer(deps: Deps, merchant_id: str, customer_id: str) -> Mapping[str, Any]:
    """Forget who it was; the payment methods are detached and their cards leave the vault. Raises NotFound."""
    customer = await get_customer(deps, merchant_id, customer_id)
    async with as_merchant(deps.engine, merchant_id) as connection:
        attached = await payment_methods.ids_of_customer(connection, customer.id)

    def decide(locked: Locked) -> tuple[tuple[tuple[RowKind, Any], ...], Mapping[str, Any]]:
        gone = replace(
            locked_customer(locked, customer.id, merchant_id),
            personal=None, email_hash=None, in_clear={}, updated_at=locked.now, deleted_at=locked.now,
        )  # fmt: skip
        rows: list[tuple[RowKind, Any]] = [(customers, gone)]
        for method_id in attached:
            method: PaymentMethod = locked.rows[method_id]
            if method.customer_id == customer.id:
                given_up = replace(
                    method,
                    customer_id=None, billing_details={}, detached_at=locked.now, updated_at=locked.now,
                )  # fmt: skip
                rows.append((payment_methods, given_up))
        return tuple(rows), {"id": customer.id, "object": "customer", "deleted": True}

    also: list[tuple[RowKind, str]] = [(customers, customer.id)]
    also.extend((payment_methods, method_id) for method_id in attached)
    shown = await write(deps, decide, also=tuple(also))
    await forget_cards(deps, merchant_id, attached)
    return shown


async def delete_customers_of(deps: Deps, merchant_id: str, subjects: Sequence[str]) -> None:
    """Delete the saved customers that these subjects are."""
    async with deps.engine.connect() as connection:
        found = await erasures.customers_of(connection, merchant_id, subjects)
    for row in found:
        try:
            await delete_customer(deps, merchant_id, row.id)
        except NotFound:
            continue  # by its merchant, just now


def _kept(deps: Deps, subject: Subject, merchant_id: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What the merchant says of them, as it is kept."""
    email = said["email"]
    email_hash = deps.subjects.hidden(merchant_id, f"email:{email}") if email else None
    return {"personal": subject.seal(said), "email_hash": email_hash}


def locked_customer(locked: Locked, customer_id: str, merchant_id: str) -> Customer:
    """The customer as it is under the lock. Raises NotFound when it is another merchant's or was deleted meanwhile."""
    customer: Customer | None = locked.rows.get(customer_id)
    if customer is None or customer.merchant_id != merchant_id or customer.deleted_at is not None:
        raise NotFound("This merchant has no such customer.")
    return customer
