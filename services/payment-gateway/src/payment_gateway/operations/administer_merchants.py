"""Merchants as the administrator sees them, and each as it sees itself: look up, change, disable, enable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from payment_gateway.domain.audit import Actor, Entry
from payment_gateway.domain.merchant import StoredMerchant, merchant_object
from payment_gateway.domain.terms import Terms
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.merchant_events import UPDATED, tell_merchant
from payment_gateway.store import audit_log, merchants, terms
from payment_gateway.store.tenancy import as_merchant
from platform_kit.ids import is_id
from platform_kit.problems import NotFound


@dataclass(frozen=True, slots=True)
class MerchantPage:
    """`next_before` is the id to continue before; None at the end."""

    merchants: Sequence[dict[str, Any]]
    next_before: str | None


async def list_merchants(
    deps: Deps, *, before: str | None, is_disabled: bool | None, limit: int
) -> MerchantPage:
    """The newest first, the disabled ones too unless `is_disabled` says which."""
    async with deps.engine.connect() as connection:
        found = await merchants.page(connection, before=before, is_disabled=is_disabled, limit=limit + 1)
    shown = [merchant_object(merchant) for merchant in found[:limit]]
    return MerchantPage(shown, found[limit - 1].id if len(found) > limit else None)


async def get_merchant(deps: Deps, merchant_id: str) -> dict[str, Any]:
    """Raises NotFound."""
    async with deps.engine.connect() as connection:
        return merchant_object(await _find(connection, merchant_id))


async def get_own_merchant(deps: Deps, merchant_id: str) -> dict[str, Any]:
    """The merchant that asks."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        return merchant_object(await _find(connection, merchant_id))


async def get_terms(deps: Deps, merchant_id: str) -> Terms:
    """Raises NotFound."""
    async with deps.engine.connect() as connection:
        await _find(connection, merchant_id)
        return await terms.get(connection, merchant_id)


async def update_merchant(
    deps: Deps, merchant_id: str, changes: Mapping[str, Any], by: Actor
) -> dict[str, Any]:
    """Change `name`, `country`, `mcc` or `api_version`; what is not named stays. Raises NotFound."""
    async with deps.engine.begin() as connection:
        before = await _find(connection, merchant_id, lock=True)
        is_disabled = before.disabled_at is not None
        after = await merchants.update(connection, replace(before, **changes), is_disabled=is_disabled)
        await audit_log.record(connection, by, Entry("merchant.updated", merchant_id, merchant_id, changes))
        if after != before:
            await tell_merchant(connection, UPDATED, after, deps.clock.now())
    return merchant_object(after)


async def disable_merchant(deps: Deps, merchant_id: str, reason: str | None, by: Actor) -> dict[str, Any]:
    """Its keys open nothing from a second later on; what runs is finished, settled and told. Raises NotFound."""
    return await _switch(deps, merchant_id, by, "merchant.disabled", {"reason": reason})


async def enable_merchant(deps: Deps, merchant_id: str, by: Actor) -> dict[str, Any]:
    """Its keys, those that were not revoked, work again. Raises NotFound."""
    return await _switch(deps, merchant_id, by, "merchant.enabled", {})


async def _switch(
    deps: Deps, merchant_id: str, by: Actor, action: str, details: Mapping[str, Any]
) -> dict[str, Any]:
    """Idempotent: one that is as it shall be stays so, and the log names the act that changed it."""
    disable = action == "merchant.disabled"
    async with deps.engine.begin() as connection:
        before = await _find(connection, merchant_id, lock=True)
        if (before.disabled_at is not None) is disable:
            return merchant_object(before)
        after = await merchants.update(connection, before, is_disabled=disable)
        await audit_log.record(connection, by, Entry(action, merchant_id, merchant_id, details))
        await tell_merchant(connection, UPDATED, after, deps.clock.now())
    return merchant_object(after)


async def _find(connection: Any, merchant_id: str, *, lock: bool = False) -> StoredMerchant:
    found = await merchants.get(connection, merchant_id, lock=lock) if is_id("mer", merchant_id) else None
    if found is None:
        raise NotFound("There is no such merchant.")
    return found
