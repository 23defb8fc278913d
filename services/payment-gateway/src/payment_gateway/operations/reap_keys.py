"""Forget idempotency keys after their published lifetime."""

from __future__ import annotations

from payment_gateway.operations.deps import Deps
from payment_gateway.store.tables import idempotency_key
from platform_kit import canonical
from platform_kit.idempotency import LIFETIME, reap


async def reap_keys(deps: Deps) -> int:
    """Returns how many keys went."""
    async with deps.engine.begin() as connection:
        reaped = await reap(connection, idempotency_key, deps.clock.now() - LIFETIME)
    canonical.add(reaped=reaped)
    return reaped
