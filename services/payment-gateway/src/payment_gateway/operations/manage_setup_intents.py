"""Setup intents: create, read, change, confirm, cancel. No money moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from payment_gateway.domain import setup_intent as machine
from payment_gateway.domain.customer import PaymentMethod, Verification
from payment_gateway.domain.setup_intent import IllegalSetup, SetupIntent, SetupStatus, setup_intent_object
from payment_gateway.operations.answer_request import Answer
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.manage_customers import get_customer, locked_customer
from payment_gateway.operations.manage_payment_methods import usable_payment_method
from payment_gateway.operations.problems import InvalidState
from payment_gateway.operations.verify_payment_method import verify_payment_method
from payment_gateway.operations.write_once import Decide, write_once
from payment_gateway.store import customers, payment_methods, setup_intents
from payment_gateway.store.commit import Locked, RowKind
from payment_gateway.store.pages import Page, Window
from payment_gateway.store.tenancy import as_merchant
from platform_kit.idempotency import IdempotencyKey
from platform_kit.ids import is_id, new_id
from platform_kit.problems import NotFound

Rows = tuple[tuple[RowKind, Any], ...]


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """Who asks, under which key. `setup_id` None = a new one; `changes` are its fields."""

    merchant_id: str
    key: IdempotencyKey
    setup_id: str | None
    changes: Mapping[str, Any]
    confirm: bool = False


async def save_setup_intent(deps: Deps, request: SetupRequest) -> Answer:
    """Create or change a setup intent, and confirm it when asked to: then its payment method is checked, and attached
    to its customer if the check passes.

    Raises NotFound for what it names and this merchant does not have, KeyReused, KeyInProgress.
    """
    before = await get_setup_intent(deps, request.merchant_id, request.setup_id) if request.setup_id else None
    customer_id = request.changes.get("customer_id") or (before.customer_id if before else None)
    method_id = request.changes.get("payment_method_id") or (before.payment_method_id if before else None)
    if request.changes.get("customer_id"):
        await get_customer(deps, request.merchant_id, str(customer_id))
    if request.changes.get("payment_method_id"):
        await usable_payment_method(deps, request.merchant_id, str(method_id))
    found = None
    if request.confirm and method_id is not None:
        found = await verify_payment_method(deps, request.merchant_id, method_id)
    setup_id = request.setup_id or new_id("seti")
    wanted = request.key.claim(f"{request.merchant_id} setup-intents", new_id("req"))
    also = _locked(setup_id, customer_id if request.confirm else None, method_id if request.confirm else None)
    return await write_once(deps, wanted, _save(request, setup_id, found), also=also, status=200)


async def cancel_setup_intent(deps: Deps, merchant_id: str, setup_id: str, key: IdempotencyKey) -> Answer:
    """Raises NotFound, KeyReused, KeyInProgress; InvalidState is the answer of the key."""
    await get_setup_intent(deps, merchant_id, setup_id)

    def decide(locked: Locked) -> tuple[Rows, Mapping[str, Any]]:
        setup = locked.rows[setup_id]
        cancelled = _step(lambda: machine.advance(setup, "cancel", SetupStatus.CANCELLED, locked.now))
        return ((setup_intents, cancelled),), setup_intent_object(cancelled)

    wanted = key.claim(f"{merchant_id} setup-intents", new_id("req"))
    return await write_once(deps, wanted, decide, also=((setup_intents, setup_id),), status=200)


async def get_setup_intent(deps: Deps, merchant_id: str, setup_id: str) -> SetupIntent:
    """Raises NotFound, also for another merchant's."""
    found = None
    if is_id("seti", setup_id):
        async with as_merchant(deps.engine, merchant_id) as connection:
            found = await setup_intents.get(connection, setup_id, merchant_id)
    if found is None:
        raise NotFound("This merchant has no such setup intent.")
    return found


async def list_setup_intents(
    deps: Deps, merchant_id: str, window: Window, **filters: str | None
) -> Page[SetupIntent]:
    """Newest first. `filters`: customer_id, payment_method_id."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await setup_intents.page(connection, merchant_id, window, **filters)


def _locked(setup_id: str, customer_id: str | None, method_id: str | None) -> tuple[tuple[RowKind, str], ...]:
    wanted: list[tuple[RowKind, str]] = [(setup_intents, setup_id)]
    if customer_id is not None and method_id is not None:
        wanted += [(customers, customer_id), (payment_methods, method_id)]
    return tuple(wanted)


def _save(request: SetupRequest, setup_id: str, found: Verification | None) -> Decide:
    def decide(locked: Locked) -> tuple[Rows, Mapping[str, Any]]:
        setup: SetupIntent = locked.rows.get(setup_id) or SetupIntent(
            setup_id, request.merchant_id, SetupStatus.REQUIRES_PAYMENT_METHOD, locked.now, locked.now
        )
        if request.changes or request.setup_id is None:
            setup = _step(lambda: machine.prepared(setup, locked.now, **request.changes))
        if not request.confirm:
            return ((setup_intents, setup),), setup_intent_object(setup)
        setup = _step(lambda: machine.verified(setup, found or Verification("declined"), locked.now))
        rows: list[tuple[RowKind, Any]] = [(setup_intents, setup)]
        if setup.status is SetupStatus.SUCCEEDED and setup.customer_id is not None:
            method: PaymentMethod = locked.rows[str(setup.payment_method_id)]
            locked_customer(locked, setup.customer_id, request.merchant_id)
            rows.append(
                (payment_methods, replace(method, customer_id=setup.customer_id, updated_at=locked.now))
            )
        return tuple(rows), setup_intent_object(setup)

    return decide


def _step(step: Any) -> SetupIntent:
    try:
        stepped: SetupIntent = step()
    except IllegalSetup as refusal:
        raise InvalidState(f"A setup intent that is {refusal.status} cannot {refusal.act}.") from None
    return stepped
