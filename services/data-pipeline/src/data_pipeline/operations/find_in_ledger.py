"""Find what a person means in the ledger: a journal by its id, an account by its name or a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from data_pipeline.operations.deps import Deps
from data_pipeline.store import balances

PART_MIN: Final = 3  # characters: fewer would fit every account


@dataclass(frozen=True, slots=True)
class InLedger:
    """One of them: a journal's id, an account and its currency, or a part of the names of several accounts."""

    journal: str | None = None
    account: tuple[str, str] | None = None
    part: str | None = None


async def find_in_ledger(deps: Deps, query: str) -> InLedger | None:
    """Exactly, or the accounts whose name holds `query`; None for neither."""
    if not query.isprintable() or len(query) < PART_MIN:
        return None
    account, _, currency = query.rpartition(":")
    async with deps.engine.connect() as conn:
        if await balances.journal(conn, query):
            return InLedger(journal=query)
        if account and await balances.balance(conn, account, currency.upper()):
            return InLedger(account=(account, currency.upper()))
        if await balances.accounts(
            conn, wanted=query, account_class=None, currency=None, after=None, limit=1
        ):
            return InLedger(part=query)
    return None
