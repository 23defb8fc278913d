"""Whether the ledger's sums are zero, as a gauge that an alert watches: the one number that has no budget."""

from __future__ import annotations

from prometheus_client import Gauge

from payment_gateway.operations.deps import Deps
from payment_gateway.store import ledger

ALL = "all"
ledger_imbalance_minor = Gauge(
    "ledger_imbalance_minor",
    "Debits without credits or the other way round, pending ones too, by currency and over `all`; anything but 0 is an "
    "incident.",
    ["currency"],
)


async def watch_ledger(deps: Deps) -> int:
    """Sum up every account in one statement; the imbalance over all currencies, each counted as positive."""
    async with deps.engine.connect() as connection:
        found = await ledger.imbalances(connection)
    for currency, amount_minor in found.items():
        ledger_imbalance_minor.labels(currency).set(amount_minor)
    total = sum(found.values())
    ledger_imbalance_minor.labels(ALL).set(total)
    return total
