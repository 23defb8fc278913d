"""The third side of a break: what the channel says that it pays out for the day, and what the bank's statement has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from data_pipeline.domain.statements import StatementEntry
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.find_late_payouts import entries_of
from data_pipeline.operations.reconcile_payouts import report_payouts
from data_pipeline.store import payouts as payout_store

ENTRIES_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class BankSide:
    """The batch with which the money of a break is paid out, and the statement's lines of it; None and empty where no
    file or no statement has come."""

    payout: dict[str, Any] | None
    entries: Sequence[StatementEntry]


async def show_bank_side(deps: Deps, found: Mapping[str, Any]) -> BankSide:
    """Of a break as `show_break` tells it."""
    currency = found["file_currency"] or found["ledger_currency"]
    payouts = await report_payouts(deps, found["day"], found["day"])
    payout = next(
        (one for one in payouts if (one["channel"], one["currency"]) == (found["channel"], currency)), None
    )
    sha256 = found["bank_sha256"] or (payout["statement_sha256"] if payout else None)
    if sha256 is None:
        return BankSide(payout, ())
    async with deps.engine.connect() as conn:
        raw = await payout_store.statement(conn, sha256)
    entries = await asyncio.to_thread(entries_of, raw) if raw else ()
    names = {payout["batch"] if payout else None, found["channel_reference"]}
    return BankSide(payout, [entry for entry in entries if entry.reference in names][:ENTRIES_SHOWN])
