"""Give back what settlements kept back, once its days are over; what a merchant has in reserve."""

from __future__ import annotations

from payment_gateway.domain import postings
from payment_gateway.domain.ledger import Journal
from payment_gateway.domain.payment import OperationInProgress
from payment_gateway.domain.reserve import Reserve, is_due, released
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.money_events import reserve_event
from payment_gateway.store import reserves
from payment_gateway.store.commit import Commit, Done, Effects, Locked
from payment_gateway.store.pages import Page, Window
from payment_gateway.store.tenancy import as_merchant
from platform_kit import canonical
from platform_kit.ids import new_id

RELEASE_MAX = 200  # reserves per run


async def release_reserves(deps: Deps) -> int:
    """One journal for each reserve that is due; returns how many were released."""
    async with deps.engine.connect() as connection:
        due = await reserves.due(connection, RELEASE_MAX)
    done = [await _release(deps, one) for one in due]
    canonical.add(reserves_released=sum(done))
    return sum(done)


async def list_reserves(deps: Deps, merchant_id: str, window: Window) -> Page[Reserve]:
    """Newest first, the released ones too."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await reserves.page(connection, merchant_id, window)


async def _release(deps: Deps, due: Reserve) -> bool:
    lines = postings.reserve_released(due.merchant_id, due.currency, due.amount_minor)

    def decide(locked: Locked) -> Effects:
        kept: Reserve = locked.rows[due.id]
        if not is_due(kept, locked.now):
            raise OperationInProgress()  # another run was quicker
        journal = Journal(new_id("je"), None, lines)
        given = released(kept, locked.now)
        event = reserve_event("reserve.released.v1", given, journal, locked.now)
        return Effects(rows=((reserves, given),), journal=journal, events=(event,))

    accounts = postings.reserve_accounts(due.merchant_id, due.currency)
    done = await deps.committer.submit(Commit(decide, also=((reserves, due.id),), accounts=accounts))
    return isinstance(done, Done)
