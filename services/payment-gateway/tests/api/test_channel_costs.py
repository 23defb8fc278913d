"""What channels cost is booked once for every charge, by the cost plans of the routing rules, and only for charges."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from gateway_rig import RunningGateway
from money_rig import balance, funded
from simulator_rig import TOKEN
from sqlalchemy import text

from payment_gateway.operations.book_channel_costs import book_channel_costs


async def balances(gateway: RunningGateway, currency: str = "EUR") -> dict[str, int]:
    """What is on the accounts that are no merchant's: credits less debits."""
    async with gateway.deps.engine.connect() as connection:
        found = await connection.execute(
            text(
                "SELECT owner || ':' || kind AS name, credits_posted - debits_posted AS minor FROM payments.account"
                " WHERE currency = :currency AND owner NOT LIKE 'merchant:%'"
            ),
            {"currency": currency},
        )
        return {row.name: row.minor for row in found}


async def test_every_charge_costs_once_what_the_rules_say(gateway: RunningGateway) -> None:
    for amount in (10_000, 10_000, 333):
        await gateway.captured(amount)
    cost = (140 + 25) * 2 + (5 + 25)
    assert await book_channel_costs(gateway.deps) == 1
    assert await book_channel_costs(gateway.deps) == 0
    after = await balances(gateway)
    assert after["platform:scheme_fees"] == -cost
    assert after["channel:card_sim:receivable"] == -(20_333 - cost), "what the channel will pay"
    assert (await gateway.verification())["balanced"]


async def test_the_booked_costs_are_those_of_the_channels_own_file(gateway: RunningGateway) -> None:
    """Captures in parts, a surcharge, a refund: the file has a fee for each charge, and so have we."""
    await gateway.pay(amount_minor=10_300, surcharge_minor=300)
    held = await gateway.hold(5_000)
    for part in (1_111, 2_222):
        await gateway.post(f"/v1/payments/{held}/capture", {"amount_minor": part})
    refunded = await gateway.captured(4_000)
    await gateway.post(f"/v1/payments/{refunded}/refunds", {"amount_minor": 1_500})
    await book_channel_costs(gateway.deps)
    url = f"{gateway.simulators.url}/settlement?channel=card_sim&date={datetime.now(UTC):%Y-%m-%d}"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with gateway.session.get(url, headers=headers) as response:
        lines = [line.split(",") for line in (await response.text()).splitlines()[1:-1]]
    assert len(lines) == 5
    assert (await balances(gateway))["platform:scheme_fees"] == -sum(int(line[6]) for line in lines)


async def test_jobs_at_once_book_a_charge_once(gateway: RunningGateway) -> None:
    await gateway.captured(10_000)
    await asyncio.gather(*(book_channel_costs(gateway.deps) for _ in range(4)))
    assert (await balances(gateway))["platform:scheme_fees"] == -165


async def test_a_merchant_pays_its_own_fee_and_not_the_channels(gateway: RunningGateway) -> None:
    await funded(gateway, 10_000, fee_plan={"rules": [{"basis_points": 200}]})
    await book_channel_costs(gateway.deps)
    assert (await balance(gateway))["available"] == 9_800
    after = await balances(gateway)
    assert after["platform:fees"] + after["platform:scheme_fees"] == 200 - 165, "the platform's margin"


async def test_what_a_channel_costs_is_told_to_no_merchant(gateway: RunningGateway) -> None:
    await gateway.captured(10_000)
    await book_channel_costs(gateway.deps)
    async with gateway.deps.engine.connect() as connection:
        told = await connection.execute(
            text("SELECT merchant_id, data FROM payments.outbox_event WHERE type = 'channel.costs_booked.v1'")
        )
        ((merchant_id, data),) = told.all()
    assert merchant_id is None
    assert (data["channel"], data["charges"], data["journal"]["transfers"][0]["amount_minor"]) == (
        "card_sim",
        1,
        165,
    )
