"""Two replicas convert into one currency at the same moment: what rounding left of one is not lost by the other."""

from __future__ import annotations

from gateway_rig import RunningGateway
from money_rig import funded, with_balance_of
from test_ledger_races import one_behind_the_other

from payment_gateway.clients.rates import SandboxRates
from payment_gateway.domain.fx import Rate
from payment_gateway.operations.convert_balances import convert_balances

LOCK_LIQUIDITY = (
    "SELECT 1 FROM payments.account WHERE (owner, kind, currency) = ('platform', 'fx', :id) FOR UPDATE"
)


class OnlyFrom:
    """The sandbox's rates for one currency that is sold."""

    def __init__(self, sell: str) -> None:
        self.sell = sell

    def rate(self, sell: str, buy: str) -> Rate | None:
        return SandboxRates().rate(sell, buy) if sell == self.sell else None


async def test_two_replicas_that_convert_into_one_currency_lose_no_residue(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    await funded(gateway, 6, settlement_currency="USD")
    assert await convert_balances(gateway.deps) == 1  # the accounts are open
    await with_balance_of(gateway, "mer_1", "EUR", wanted="USD", amount_minor=6)
    await with_balance_of(gateway, "mer_2", "GBP", wanted="USD", amount_minor=7)
    converted = await one_behind_the_other(
        gateway,
        LOCK_LIQUIDITY,
        "USD",
        lambda: convert_balances(gateway.deps, OnlyFrom("EUR")),
        lambda: convert_balances(twin.deps, OnlyFrom("GBP")),
    )
    assert converted == (1, 1)
    verified = await gateway.verification()
    (rounding,) = verified["fx_rounding"]
    assert (rounding["conversions"], rounding["explained"]) == (3, True), rounding
    assert verified["balanced"]
