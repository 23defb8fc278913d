"""Cards that can pay no more leave the vault, and the keys of whose they were: nothing is kept longer than it is needed
(PCI DSS 3.2.1)."""

from __future__ import annotations

from collections.abc import Sequence

from payment_gateway.domain.personal_data import method_reference
from payment_gateway.operations.deps import Deps
from payment_gateway.store import payment_methods


async def forget_cards(deps: Deps, merchant_id: str, payment_method_ids: Sequence[str]) -> None:
    """Delete the cards of those that are detached, and the keys of their billing details. A crash before this leaves
    sealed cards and keys that nothing names."""
    if not deps.vault.is_open:
        return
    for method_id in payment_method_ids:
        async with deps.engine.connect() as connection:
            method = await payment_methods.get(connection, method_id, merchant_id)
        if method is None or method.detached_at is None:
            continue
        if method.vault_card is not None:
            await deps.vault.forget(method.vault_card)
        gone = await deps.subjects.known(merchant_id, [method_reference(method_id)])
        await deps.subjects.erase(merchant_id, gone)
