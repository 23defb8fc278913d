"""Move what merchants captured from pending to available once their settlement delay is over."""

from __future__ import annotations

from payment_gateway.domain import postings
from payment_gateway.domain.ledger import Journal
from payment_gateway.domain.payment import OperationInProgress
from payment_gateway.domain.terms import Settlement
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.money_events import settlement_event
from payment_gateway.store import terms
from payment_gateway.store.commit import Commit, Done, Effects, Locked
from payment_gateway.store.terms import Due
from platform_kit import canonical
from platform_kit.ids import new_id

SETTLE_MAX = 200  # merchants and currencies per run


async def settle_captures(deps: Deps) -> int:
    """One journal per merchant and currency that has something due; returns how many were written."""
    async with deps.engine.connect() as connection:
        due = await terms.due(connection, SETTLE_MAX)
    settled = [await _settle(deps, one) for one in due]
    canonical.add(settled=sum(settled))
    return sum(settled)


async def _settle(deps: Deps, due: Due) -> bool:
    cursor_id = f"merchant:{due.merchant_id}:{due.currency}"
    accounts = tuple(
        postings.merchant_account(due.merchant_id, kind, due.currency) for kind in ("pending", "available")
    )

    def decide(locked: Locked) -> Effects:
        cursor = locked.rows.get(cursor_id)
        if (cursor.transfer_id if cursor else 0) != due.settled_to:
            raise OperationInProgress()  # another run was quicker
        rows = ((terms, Settlement(cursor_id, due.transfer_id)),)
        if not due.amount_minor:
            return Effects(rows=rows)
        lines = postings.settlement(due.merchant_id, due.currency, due.amount_minor)
        journal = Journal(new_id("je"), None, lines)
        event = settlement_event(due.merchant_id, journal, locked.now)
        return Effects(rows=rows, journal=journal, events=(event,))

    done = await deps.committer.submit(Commit(decide, also=((terms, cursor_id),), accounts=accounts))
    return isinstance(done, Done)
