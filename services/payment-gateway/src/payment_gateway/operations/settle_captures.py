"""Move what merchants captured from pending to available once their settlement delay is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from payment_gateway.domain import postings
from payment_gateway.domain.ledger import Journal
from payment_gateway.domain.payment import OperationInProgress
from payment_gateway.domain.reserve import held
from payment_gateway.domain.terms import Settlement
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.money_events import reserve_event, settlement_event
from payment_gateway.store import reserves, terms
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
    available, reserve = postings.reserve_accounts(due.merchant_id, due.currency)
    pending = postings.merchant_account(due.merchant_id, "pending", due.currency)
    accounts = (pending, available, reserve) if due.reserve else (pending, available)

    def decide(locked: Locked) -> Effects:
        if locked.rows[cursor_id].transfer_id != due.settled_to:
            raise OperationInProgress()  # another run was quicker
        rows = ((terms, Settlement(cursor_id, due.transfer_id)),)
        if not due.amount_minor:
            return Effects(rows=rows)
        lines = postings.settlement(due.merchant_id, due.currency, due.amount_minor)
        journal = Journal(new_id("je"), None, lines)
        event = settlement_event(due.merchant_id, journal, locked.now)
        effects = Effects(rows=rows, journal=journal, events=(event,))
        available_minor = locked.accounts[available].available_minor + due.amount_minor
        return _kept_back(effects, due, available_minor, locked.now)

    done = await deps.committer.submit(Commit(decide, also=((terms, cursor_id),), accounts=accounts))
    return isinstance(done, Done)


def _kept_back(effects: Effects, due: Due, available_minor: int, now: datetime) -> Effects:
    """The settlement, and the share of it that the reserve keeps: a journal of its own, in the same commit."""
    kept_minor = due.reserve.share_minor(due.amount_minor, available_minor) if due.reserve else 0
    if not due.reserve or not kept_minor:
        return effects
    kept = held(new_id("rsv"), due.merchant_id, due.currency, kept_minor, due.reserve, now)
    journal = Journal(new_id("je"), None, postings.reserve_kept(due.merchant_id, due.currency, kept_minor))
    event = reserve_event("reserve.held.v1", kept, journal, now)
    return replace(
        effects,
        rows=(*effects.rows, (reserves, kept)),
        journals=(journal,),
        events=(*effects.events, event),
    )
