"""The ledger for the platform's own services and operators: balances as their events tell them, and one journal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from payment_gateway.operations.deps import Deps
from payment_gateway.store import ledger_told
from platform_kit.clock import isoformat
from platform_kit.ids import is_id
from platform_kit.problems import NotFound


async def tell_balances(deps: Deps, after: tuple[str, str], limit: int) -> dict[str, Any]:
    """Accounts after that name and currency, as of the last numbered event, and how far the hash chain is."""
    async with deps.engine.connect() as conn:
        position, accounts = await ledger_told.balances(conn, after, limit)
        chain = await ledger_told.chain_head(conn)
    return {
        "position": position,
        "accounts": [_members(row, leaving="last_position") for row in accounts],
        "chain": _members(chain) if chain else None,
        "has_more": len(accounts) == limit,
    }


async def tell_journal(deps: Deps, journal_id: str) -> dict[str, Any]:
    """Raises NotFound."""
    found = None
    if is_id("je", journal_id):
        async with deps.engine.connect() as conn:
            found = await ledger_told.journal(conn, journal_id)
    if found is None:
        raise NotFound("No journal has this id.")
    return {"object": "journal", **_members(found), "lines": [_members(line) for line in found["lines"]]}


def _members(row: Any, leaving: str = "") -> dict[str, Any]:
    return {
        name: isoformat(value) if isinstance(value, datetime) else value
        for name, value in row.items()
        if name != leaving
    }
