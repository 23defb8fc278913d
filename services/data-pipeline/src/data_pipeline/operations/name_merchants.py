"""What merchants are called, for pages that show their ids and the names of their accounts."""

from __future__ import annotations

from collections.abc import Iterable

from data_pipeline.operations.deps import Deps
from data_pipeline.store import merchants as merchant_store


async def name_merchants(deps: Deps, merchant_ids: Iterable[str | None]) -> dict[str, str]:
    """Id -> name now, of those that are known."""
    async with deps.engine.connect() as conn:
        return await merchant_store.names(conn, merchant_ids)


async def name_owners(deps: Deps, accounts: Iterable[str]) -> dict[str, str]:
    """The same for the owners of accounts, `merchant:mer_…:available`."""
    parts = (account.split(":") for account in accounts)
    return await name_merchants(deps, (part[1] for part in parts if part[0] == "merchant" and len(part) > 1))
