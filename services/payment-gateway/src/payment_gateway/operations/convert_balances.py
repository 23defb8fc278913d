"""Merchants who are settled in one currency: what becomes available in another is converted, debts from refunds and
disputes too, at the rate of that day (ADR 0084).
"""

from __future__ import annotations

from payment_gateway.clients.rates import Rates, SandboxRates
from payment_gateway.domain import fx
from payment_gateway.domain.fx import Rate, Residue
from payment_gateway.domain.ledger import Journal
from payment_gateway.domain.postings import merchant_account
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.money_events import conversion_event
from payment_gateway.store import fx_residue, terms
from payment_gateway.store.commit import Commit, Done, Effects, Locked
from payment_gateway.store.terms import Foreign
from platform_kit import canonical
from platform_kit.ids import new_id

PAGE = 200  # balances read at once


async def convert_balances(deps: Deps, rates: Rates | None = None) -> int:
    """One journal per foreign balance; returns how many were written. What has no rate stays as it is, and so does less
    than a minor unit: every balance is looked at, so that those stand in nobody's way."""
    source = rates or SandboxRates()
    converted = 0
    last: Foreign | None = None
    while True:
        async with deps.engine.connect() as connection:
            page = await terms.foreign(connection, last, PAGE)
        for last in page:
            rate = source.rate(last.currency, last.wanted)
            if rate and rate.convert(last.available_minor):
                converted += await _convert(deps, last.merchant_id, rate)
        if len(page) < PAGE:
            break
    canonical.add(converted=converted)
    return converted


async def _convert(deps: Deps, merchant_id: str, rate: Rate) -> bool:
    """The journal carries its rate and its residue: whoever reads the ledger can compute it again."""
    sold_from = merchant_account(merchant_id, "available", rate.sell)

    def decide(locked: Locked) -> Effects:
        sold = locked.accounts[sold_from].available_minor
        bought = rate.convert(sold)
        if not bought:  # spent meanwhile
            return Effects()
        residue_atto = rate.residue_atto(sold, bought)
        carried: Residue = locked.rows[rate.buy]
        carried, rounded = carried.with_another(residue_atto)
        lines = fx.conversion(merchant_id, rate, sold, bought, rounded)
        told = fx.rate_object(rate) | {"residue_atto": residue_atto}
        journal = Journal(
            new_id("je"), None, lines, metadata={name: str(value) for name, value in told.items()}
        )
        return Effects(
            rows=((fx_residue, carried),),
            journal=journal,
            events=(conversion_event(merchant_id, journal, rate, locked.now),),
        )

    accounts = fx.accounts_of(merchant_id, rate.sell, rate.buy)
    commit = Commit(decide, also=((fx_residue, rate.buy),), accounts=accounts)
    return isinstance(await deps.committer.submit(commit), Done)
