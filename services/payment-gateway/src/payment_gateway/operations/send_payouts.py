"""Send payouts and follow them to their end.

A payout is marked `in_transit` before the bank is asked, and every question carries the payout's id as its key: the
bank does it once however often we ask, so a lost answer is asked for again and never paid twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from payment_gateway.domain.attempt import next_resolve_at
from payment_gateway.domain.payout import Payout, PayoutEvent, PayoutStatus
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.make_payout import commit_of_move
from payment_gateway.store import payouts
from payment_gateway.store.commit import Commit, Done, Effects, Locked
from platform_kit import canonical

SEND_MAX = 50
RETURN_WINDOW: Final = timedelta(days=5)  # how long a receiving bank may send a payout back

MOVES: Final = {"paid": PayoutEvent.PAY, "failed": PayoutEvent.FAIL, "returned": PayoutEvent.RETURN}


async def send_payouts(deps: Deps) -> int:
    """Look at every payout that is due; returns how many."""
    async with deps.engine.begin() as connection:
        due = await payouts.claim_due(connection, SEND_MAX)
    for payout in due:
        await _follow(deps, payout)
    canonical.add(payouts_followed=len(due))
    return len(due)


async def _follow(deps: Deps, payout: Payout) -> None:
    if payout.status is PayoutStatus.PENDING:
        mark = commit_of_move(payout, PayoutEvent.SEND, due=lambda now: now + timedelta(seconds=30))
        done = await deps.committer.submit(mark)
        if not isinstance(done, Done):
            return  # cancelled meanwhile
        payout = done.rows[payout.id]
    said, code = await deps.banking.pay_out(payout)
    if (
        payout.status is PayoutStatus.IN_TRANSIT and said == "returned"
    ):  # paid and sent back between two questions
        payout = await _move(deps, payout, PayoutEvent.PAY, None) or payout
    event = MOVES.get(said)
    if event is None or said == payout.status:
        await deps.committer.submit(_ask_later(payout))
    else:
        await _move(deps, payout, event, code)


async def _move(deps: Deps, payout: Payout, event: PayoutEvent, code: str | None) -> Payout | None:
    def due(now: datetime) -> datetime | None:
        return now + timedelta(seconds=60) if event is PayoutEvent.PAY else None

    done = await deps.committer.submit(commit_of_move(payout, event, due=due, failure_code=code))
    return done.rows[payout.id] if isinstance(done, Done) else None


def _ask_later(payout: Payout) -> Commit:
    """No news: ask again later, less and less often; a paid one no longer once it cannot come back."""

    def decide(locked: Locked) -> Effects:
        held: Payout = locked.rows[payout.id]
        due = next_resolve_at(held.tries, locked.now)
        if held.status is PayoutStatus.PAID:
            waits = locked.now - held.updated_at < RETURN_WINDOW
            return Effects(
                rows=((payouts, _again(held, locked.now + timedelta(hours=1) if waits else None)),)
            )
        if held.status is not PayoutStatus.IN_TRANSIT:
            return Effects()
        return Effects(rows=((payouts, _again(held, due)),))

    return Commit(decide, also=((payouts, payout.id),))


def _again(payout: Payout, due_at: datetime | None) -> Payout:
    return replace(payout, due_at=due_at, tries=payout.tries + 1)
