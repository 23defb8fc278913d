"""Look back in the ledger: a balance as of a time, and transfers by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from payment_gateway.domain.ledger import AccountName
from payment_gateway.operations.deps import Deps
from payment_gateway.store import ledger_history
from payment_gateway.store.ledger_history import Balance
from payment_gateway.store.tenancy import as_merchant


async def balance_of(
    deps: Deps,
    merchant_id: str,
    name: AccountName,
    effective_at: datetime | None,
    recorded_at: datetime | None,
) -> Balance | None:
    """None if the account is not open."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await ledger_history.balance(connection, name, effective_at, recorded_at)


async def transfers_page(
    deps: Deps, merchant_id: str, before: str | None, limit: int, labels: Mapping[str, str]
) -> Sequence[Any]:
    """Rows of the newest `limit` journals below `before` whose metadata has all `labels`."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await ledger_history.page(connection, merchant_id, before, limit, labels)
