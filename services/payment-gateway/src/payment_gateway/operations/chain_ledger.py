"""Chain what was committed, a batch at a time, away from the write path."""

from __future__ import annotations

from payment_gateway.operations.deps import Deps
from payment_gateway.store import ledger_chain
from platform_kit import canonical

BATCH = 2000
BATCHES_MAX = 20  # per run


async def chain_ledger(deps: Deps) -> int:
    """Returns how many transfers were chained."""
    chained = 0
    for _ in range(BATCHES_MAX):
        async with deps.engine.begin() as connection:
            found = await ledger_chain.extend(connection, BATCH)
        chained += found
        if found < BATCH:
            break
    canonical.add(chained=chained)
    return chained
