"""Payouts that came late: lines of later statements that name a batch of an earlier day."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Final

from data_pipeline.domain import camt053, mt940
from data_pipeline.domain.payouts import Arrival, Payout
from data_pipeline.domain.statements import BATCH, Statement, StatementEntry
from data_pipeline.operations.deps import Deps
from data_pipeline.store import payouts as payout_store

READERS: Final = {"camt053": camt053.parse, "mt940": mt940.parse}
LATE_MAX: Final = timedelta(days=31)
"""How long after its own statement a batch is still looked for on others. What comes later still is unexpected."""


async def late_arrivals(deps: Deps, payouts: Iterable[Payout], own_day: date) -> list[Arrival]:
    """What statements after the one of `own_day` have under the names of these batches."""
    found = []
    for payout in payouts:
        async with deps.engine.connect() as conn:
            statements = await payout_store.statements_naming(
                conn, payout.currency, payout.batch, own_day + timedelta(days=1), own_day + LATE_MAX
            )
        for statement in statements:
            entries = await asyncio.to_thread(entries_of, statement["raw"])
            found += [
                Arrival(payout.batch, entry.amount_minor, statement["booked_on"], statement["sha256"])
                for entry in entries
                if entry.reference == payout.batch
            ]
    return found


async def earlier_batches(
    deps: Deps, statements: Mapping[str, Iterable[StatementEntry]], day: date
) -> dict[str, date]:
    """Batches that lines of the statements of `day` name and whose own days look as far as these, with their days."""
    named = {
        entry.reference
        for entries in statements.values()
        for entry in entries
        if re.fullmatch(BATCH, entry.reference)
    }
    if not named:
        return {}
    async with deps.engine.connect() as conn:
        return await payout_store.days_of(conn, sorted(named), day - LATE_MAX, day)


def entries_of(raw: bytes) -> tuple[StatementEntry, ...]:
    """The lines of a statement that was taken once; none of one that cannot be read any more."""
    read = READERS["camt053" if raw.startswith(b"<") else "mt940"](raw)
    return read.entries if isinstance(read, Statement) else ()
