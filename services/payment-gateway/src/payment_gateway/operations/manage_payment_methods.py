"""Saved payment methods: keep a card in the vault, read, change, attach, detach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from payment_gateway.domain.cards import (
    CardNumber,
    InvalidCard,
    checked_cvc,
    checked_expiry,
    checked_number,
    shown_card,
    shown_token,
)
from payment_gateway.domain.customer import PaymentMethod, payment_method_object
from payment_gateway.domain.personal_data import method_reference
from payment_gateway.operations.answer_request import Answer, find_stored
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.forget_card import forget_cards
from payment_gateway.operations.manage_customers import locked_customer
from payment_gateway.operations.write_once import write_once
from payment_gateway.store import customers, payment_methods
from payment_gateway.store.commit import Locked, RowKind
from payment_gateway.store.pages import Page, Window
from payment_gateway.store.tenancy import as_merchant
from platform_kit.committer import NotCommitted
from platform_kit.idempotency import IdempotencyKey, KeyReused
from platform_kit.ids import is_id, new_id
from platform_kit.problems import NotFound, Problem, problem_type


class PaymentMethodDetached(Problem):
    status, code, title = 409, "payment-method-detached", "This payment method was detached for good"


class AttachedElsewhere(Problem):
    status, code, title = (
        409,
        "attached-to-another-customer",
        "This payment method belongs to another customer",
    )


@dataclass(frozen=True, slots=True)
class CardEntry:
    """A card as it was typed in. The security code is looked at once and kept nowhere (PCI DSS 3.3.1)."""

    number: str = field(repr=False)
    exp_month: int
    exp_year: int
    cvc: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CreatePaymentMethod:
    """`method` as a channel is asked with it, or `card` to be kept in the vault first; one of the two."""

    merchant_id: str
    key: IdempotencyKey
    type: str
    method: Mapping[str, Any] | None = None
    card: CardEntry | None = None
    billing_details: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


async def create_payment_method(deps: Deps, command: CreatePaymentMethod) -> Answer:
    """The payment method. The card lies in the vault before anything names it.

    Raises the refusals of the card (422), VaultClosed, KeyReused, KeyInProgress, NotCommitted.
    """
    method_id = new_id("pm")
    wanted = command.key.claim(f"{command.merchant_id} POST /v1/payment-methods", method_id)
    if stored := await find_stored(deps, wanted):
        return stored
    billing_details = await _sealed(deps, command.merchant_id, method_id, command.billing_details)
    method, shown, kept = await _kept(deps, command)

    def decide(locked: Locked) -> tuple[tuple[tuple[RowKind, Any], ...], Mapping[str, Any]]:
        made = PaymentMethod(
            id=method_id,
            merchant_id=command.merchant_id,
            type=command.type,
            method=method,
            card=shown,
            billing_details=billing_details,
            metadata=command.metadata,
            created_at=locked.now,
            updated_at=locked.now,
        )
        return ((payment_methods, made),), payment_method_object(made)

    try:
        answer = await write_once(deps, wanted, decide)
    except (KeyReused, NotCommitted):
        await _forget(deps, kept)
        raise
    if answer.replayed:  # a request with the same key was quicker: its card is the one that is named
        await _forget(deps, kept)
    return answer


async def _sealed(
    deps: Deps, merchant_id: str, method_id: str, billing_details: Mapping[str, Any]
) -> Mapping[str, Any]:
    if not billing_details:
        return {}
    return (await deps.subjects.of(merchant_id, method_reference(method_id))).seal(billing_details)


async def _forget(deps: Deps, kept: str | None) -> None:
    if kept is not None:
        await deps.vault.forget(kept)


async def _kept(
    deps: Deps, command: CreatePaymentMethod
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None, str | None]:
    """What a channel is asked with, what may be shown, and the vault's token if a card was kept for this."""
    if command.card is None:
        assert command.method is not None
        token = command.method.get("token")
        return command.method, shown_token(token) if token else None, None
    card = _checked(deps, command.card)
    sealed = await deps.vault.tokenise(card)
    shown = shown_card(card, sealed.fingerprint, cvc_given=command.card.cvc is not None)
    return {"type": "card", "token": sealed.id}, shown, sealed.id


def _checked(deps: Deps, entry: CardEntry) -> CardNumber:
    try:
        number = checked_number(entry.number)
        checked_expiry(entry.exp_month, entry.exp_year, deps.clock.now())
        if entry.cvc is not None:
            checked_cvc(entry.cvc, number)
    except InvalidCard as error:
        raise refused_card(error) from None
    return CardNumber(number, entry.exp_month, entry.exp_year)


def refused_card(error: InvalidCard) -> Problem:
    """The Problem that tells what is wrong with a card; never with which."""
    pointer = f"/card/{error.member}"
    errors = [{"pointer": pointer, "code": error.code, "detail": error.text}]
    return problem_type(422, error.code, "This card is not acceptable")(
        f"{pointer}: {error.text}", errors=errors
    )


async def get_payment_method(deps: Deps, merchant_id: str, method_id: str) -> PaymentMethod:
    """Raises NotFound, also for another merchant's."""
    found = None
    if is_id("pm", method_id):
        async with as_merchant(deps.engine, merchant_id) as connection:
            found = await payment_methods.get(connection, method_id, merchant_id)
    if found is None:
        raise NotFound("This merchant has no such payment method.")
    return found


async def usable_payment_method(deps: Deps, merchant_id: str, method_id: str) -> PaymentMethod:
    """One that a payment may name. Raises NotFound, PaymentMethodDetached."""
    method = await get_payment_method(deps, merchant_id, method_id)
    _refuse_detached(method)
    return method


async def list_payment_methods(
    deps: Deps, merchant_id: str, window: Window, *, customer_id: str | None, type: str | None
) -> Page[PaymentMethod]:
    """Newest first."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await payment_methods.page(connection, merchant_id, window, customer_id=customer_id, type=type)


async def update_payment_method(
    deps: Deps,
    merchant_id: str,
    method_id: str,
    changes: Mapping[str, Any],
    key: IdempotencyKey,
) -> Answer:
    """The payment method with other `billing_details` or `metadata`. Raises NotFound, KeyReused, KeyInProgress."""
    await get_payment_method(deps, merchant_id, method_id)
    native = f"{merchant_id} POST /v1/payment-methods/{{id}}"
    wanted = key.claim(native, new_id("req"))
    if "billing_details" in changes:
        sealed = await _sealed(deps, merchant_id, method_id, changes["billing_details"])
        changes = {**changes, "billing_details": sealed}

    def decide(locked: Locked) -> tuple[tuple[tuple[RowKind, Any], ...], Mapping[str, Any]]:
        changed = replace(locked.rows[method_id], **changes, updated_at=locked.now)
        return ((payment_methods, changed),), payment_method_object(changed)

    return await write_once(deps, wanted, decide, also=((payment_methods, method_id),), status=200)


async def attach_payment_method(
    deps: Deps,
    merchant_id: str,
    method_id: str,
    customer_id: str,
    key: IdempotencyKey,
) -> Answer:
    """Save it for a customer; attaching it to the same one again changes nothing.

    Raises NotFound, KeyReused, KeyInProgress. PaymentMethodDetached and AttachedElsewhere are answers of the key.
    """
    await get_payment_method(deps, merchant_id, method_id)
    native = f"{merchant_id} POST /v1/payment-methods/{{id}}/attach"
    wanted = key.claim(native, new_id("req"))

    def decide(locked: Locked) -> tuple[tuple[tuple[RowKind, Any], ...], Mapping[str, Any]]:
        method: PaymentMethod = locked.rows[method_id]
        _refuse_detached(method)
        customer = locked_customer(locked, customer_id, merchant_id)
        if method.customer_id not in (None, customer.id):
            raise AttachedElsewhere("Detach it there, and create a new one.")
        attached = replace(method, customer_id=customer.id, updated_at=locked.now)
        return ((payment_methods, attached),), payment_method_object(attached)

    also: tuple[tuple[RowKind, str], ...] = ((payment_methods, method_id), (customers, customer_id))
    return await write_once(deps, wanted, decide, also=also, status=200)


async def detach_payment_method(deps: Deps, merchant_id: str, method_id: str, key: IdempotencyKey) -> Answer:
    """Give it up for good: its card leaves the vault, and its billing details go.

    Raises NotFound, KeyReused, KeyInProgress.
    """
    await get_payment_method(deps, merchant_id, method_id)
    native = f"{merchant_id} POST /v1/payment-methods/{{id}}/detach"
    wanted = key.claim(native, new_id("req"))

    def decide(locked: Locked) -> tuple[tuple[tuple[RowKind, Any], ...], Mapping[str, Any]]:
        method: PaymentMethod = locked.rows[method_id]
        at = method.detached_at or locked.now
        detached = replace(
            method, customer_id=None, billing_details={}, detached_at=at, updated_at=locked.now
        )
        return ((payment_methods, detached),), payment_method_object(detached)

    answer = await write_once(deps, wanted, decide, also=((payment_methods, method_id),), status=200)
    await forget_cards(deps, merchant_id, [method_id])
    return answer


def _refuse_detached(method: PaymentMethod) -> None:
    if method.detached_at is not None:
        raise PaymentMethodDetached("Create a new payment method.")
