"""What the ledger has moved, as of an event that its readers can be asked about."""

from __future__ import annotations

from payment_gateway.operations.deps import Deps
from payment_gateway.store import ledger


async def total_ledger(deps: Deps) -> tuple[int, dict[str, int]]:
    """The position of the last numbered event, and minor units moved by then by currency."""
    async with deps.engine.connect() as conn:
        return await ledger.moved_as_told(conn)
