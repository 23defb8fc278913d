"""Recompute the whole ledger from its rows and compare."""

from __future__ import annotations

from payment_gateway.operations.deps import Deps
from payment_gateway.store import ledger
from payment_gateway.store.ledger import Verification


async def verify_ledger(deps: Deps) -> Verification:
    """One consistent snapshot, however busy the ledger is."""
    async with deps.engine.connect() as connection:
        await connection.execution_options(isolation_level="REPEATABLE READ")
        async with connection.begin():
            return await ledger.verify(connection)
