"""Money bugs of currencies."""

from __future__ import annotations

import pytest
from gateway_rig import RunningGateway
from witnesses import agree, charged_and_refunded


@pytest.mark.parametrize(("currency", "decimals"), [("JPY", 0), ("USD", 2), ("BHD", 3), ("CLF", 4)])
async def test_an_amount_means_the_same_to_client_channel_and_ledger_in_every_currency(
    gateway: RunningGateway, currency: str, decimals: int
) -> None:
    """Thread 29, modern-treasury-node#258, active_merchant PR#900: USD taken for a currency without decimals, others
    for one with two: amounts a hundred times too large or a tenth of what was meant.

    Integers of minor units from end to end: nobody multiplies, and no amount with a decimal point gets in. Where the
    exponent counts (the channel's fee), it is that of ISO 4217.
    """
    payment = (await gateway.pay(amount_minor=1_234, currency=currency)).body
    assert (payment["amount_minor"], payment["captured_minor"], payment["currency"]) == (
        1_234,
        1_234,
        currency,
    )
    assert await charged_and_refunded(gateway) == (1_234, 0)
    (line,) = await gateway.simulators.journal()
    assert (line["amount_minor"], line["currency"]) == (1_234, currency)
    (booked,) = (await gateway.verification())["currencies"]
    assert (booked["currency"], booked["debits_minor"]) == (currency, 1_234)
    for wrong in (12.34, 12.0, "12.34", "1234", 1e3):
        refused = await gateway.pay(amount_minor=wrong, currency=currency)
        assert refused.status == 422, refused.raw
    assert (await gateway.pay(amount_minor=100, currency=currency.lower())).status == 422
    _, file = await gateway.simulators.get("/settlement", channel="card_sim", date=line["at"][:10])
    fixed_fee = {0: 30, 2: 25, 3: 100, 4: 1000}[decimals]
    assert fixed_fee < int(file.decode().splitlines()[1].split(",")[6]) < fixed_fee + 40
    await agree(gateway, 1_234)
