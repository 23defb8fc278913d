"""Merchants who are settled in one currency: what becomes available in another is converted, debts from refunds and
disputes too, at the rate of that day (ADR 0084).
"""

from __future__ import annotations

from payment_gateway.clients.rates import Rates, SandboxRates
from payment_gateway.domain import fx
from payment_gateway.domain.fx import Rate
from payment_gateway.domain.ledger import Journal
from payment_gateway.domain.postings import merchant_account
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.money_events import conversion_event
from payment_gateway.store import terms
from payment_gateway.store.commit import Commit, Done, Effects, Locked
from platform_kit import canonical
from platform_kit.ids import new_id

CONVERT_MAX = 200  # balances per run


async def convert_balances(deps: Deps, rates: Rates | None = None) -> int:
    """One journal per foreign balance; returns how many were written. What has no rate stays as it is."""
    source = rates or SandboxRates()
    async with deps.engine.connect() as connection:
        foreign = await terms.foreign(connection, CONVERT_MAX)
    converted = 0
    for balance in foreign:
        rate = source.rate(balance.currency, balance.wanted)
        converted += rate is not None and await _convert(deps, balance.merchant_id, rate)
    canonical.add(converted=converted)
    return converted


async def _convert(deps: Deps, merchant_id: str, rate: Rate) -> bool:
    sold_from = merchant_account(merchant_id, "available", rate.sell)

    def decide(locked: Locked) -> Effects:
        sold = locked.accounts[sold_from].available_minor
        bought = rate.convert(sold)
        if not bought:  # nothing, or less than a minor unit: it waits for more
            return Effects()
        journal = Journal(new_id("je"), None, fx.conversion(merchant_id, rate, sold, bought))
        return Effects(journal=journal, events=(conversion_event(merchant_id, journal, rate, locked.now),))

    accounts = fx.accounts_of(merchant_id, rate.sell, rate.buy)
    return isinstance(await deps.committer.submit(Commit(decide, accounts=accounts)), Done)
