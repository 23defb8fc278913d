"""Book what channels keep of what they took in: scheme and acquirer fees, by the cost plans of the routing rules."""

from __future__ import annotations

from payment_gateway.domain import postings
from payment_gateway.domain.ledger import Journal, channel_receivable
from payment_gateway.domain.payment import OperationInProgress
from payment_gateway.domain.routing_rules import ChannelTerms
from payment_gateway.domain.terms import Settlement
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.money_events import costs_event
from payment_gateway.store import channel_costs, terms
from payment_gateway.store.channel_costs import DueCosts
from payment_gateway.store.commit import Commit, Done, Effects, Locked
from platform_kit import canonical
from platform_kit.ids import new_id
from platform_kit.money import exponent


async def book_channel_costs(deps: Deps) -> int:
    """One journal per channel and currency that took something in; returns how many were written. What a channel that
    the rules do not name costs is not known: it waits for them."""
    rules = deps.routing.rules.channels
    async with deps.engine.connect() as connection:
        found = await channel_costs.due(connection)
    booked = [await _book(deps, due, rules[due.channel]) for due in found if due.channel in rules]
    canonical.add(channel_costs_booked=sum(booked))
    return sum(booked)


async def _book(deps: Deps, due: DueCosts, plan: ChannelTerms) -> bool:
    decimals = exponent(due.currency)
    cost_minor = sum(count * plan.fee_minor(amount, decimals) for amount, count in due.charges)
    cursor_id = f"channel:{due.channel}:{due.currency}"
    lines = postings.channel_costs(due.channel, due.currency, cost_minor)

    def decide(locked: Locked) -> Effects:
        if locked.rows[cursor_id].transfer_id != due.booked_to:
            raise OperationInProgress()  # another run was quicker
        rows = ((terms, Settlement(cursor_id, due.transfer_id)),)
        if not lines:
            return Effects(rows=rows)
        journal = Journal(new_id("je"), None, lines)
        charges = sum(count for _, count in due.charges)
        return Effects(
            rows=rows, journal=journal, events=(costs_event(due.channel, charges, journal, locked.now),)
        )

    accounts = (
        postings.platform_account("scheme_fees", due.currency),
        channel_receivable(due.channel, due.currency),
    )
    done = await deps.committer.submit(Commit(decide, also=((terms, cursor_id),), accounts=accounts))
    return isinstance(done, Done)
