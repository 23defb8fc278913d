"""Fees over real HTTP: what a dispute costs, and what refunds give back; all of it in the journals."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest
from gateway_rig import RunningGateway
from money_rig import balance, disputed, funded, operate, set_terms, settled, until
from sqlalchemy import text

from payment_gateway.domain.ledger import AccountName
from payment_gateway.domain.postings import merchant_account, platform_account
from payment_gateway.operations.receive_channel_event import replay_parked_events
from payment_gateway.operations.settle_captures import settle_captures
from payment_gateway.store import ledger_history

RULES = [{"basis_points": 140, "method": "card", "fixed_minor": {"EUR": 25}}]


def a_plan(**changes: Any) -> dict[str, Any]:
    return {"rules": RULES, **changes}


async def as_of(gateway: RunningGateway, name: AccountName, at: datetime | None = None) -> int:
    async with gateway.deps.engine.connect() as connection:
        found = await ledger_history.balance(connection, name, None, at)
    return found.posted_minor if found else 0


async def recorded(gateway: RunningGateway) -> list[datetime]:
    """When each journal was written, oldest first."""
    async with gateway.deps.engine.connect() as connection:
        found = await connection.execute(
            text("SELECT DISTINCT recorded_at FROM payments.transfer ORDER BY recorded_at")
        )
        return [row.recorded_at for row in found]


async def captured_and_settled(gateway: RunningGateway, **plan: Any) -> str:
    """A payment of 100.00 with a fee of 1.65, settled."""
    await funded(gateway, 10_000, fee_plan=a_plan(**plan))
    listed = (await gateway.call("GET", "/v1/payments")).body["data"]
    assert listed[0]["fee_minor"] == 165
    return str(listed[0]["id"])


async def test_refunds_give_the_fee_back_in_proportion_and_in_their_own_journals(
    gateway: RunningGateway,
) -> None:
    payment_id = await captured_and_settled(gateway, returns_on_refund=True)
    path = f"/v1/payments/{payment_id}/refunds"
    bodies: list[dict[str, Any]] = [{"amount_minor": 1_000}, {"amount_minor": 1_000}, {}]
    refunds = [(await gateway.post(path, body)).body for body in bodies]
    assert [refund["fee_returned_minor"] for refund in refunds] == [17, 16, 132]
    assert [refund["amount_minor"] for refund in refunds] == [1_000, 1_000, 8_000]
    payment = await gateway.payment(payment_id)
    assert (payment["fee_minor"], payment["fee_returned_minor"]) == (165, 165)
    available = merchant_account(gateway.merchant_id, "available", "EUR")
    times = await recorded(gateway)  # capture, settlement, three refunds
    assert [await as_of(gateway, available, at) for at in times] == [0, 9_835, 8_852, 7_868, 0]
    fees = platform_account("fees", "EUR")
    assert [await as_of(gateway, fees, at) for at in times] == [165, 165, 148, 132, 0]
    newest = (await gateway.call("GET", "/v1/balance-transactions")).body["data"][0]
    assert (newest["type"], newest["amount_minor"], newest["fee_minor"], newest["net_minor"]) == (
        "refund",
        -8_000,
        -132,
        -7_868,
    )
    assert (await gateway.verification())["balanced"]


async def test_without_the_plans_word_a_refund_keeps_the_fee(gateway: RunningGateway) -> None:
    payment_id = await captured_and_settled(gateway)
    refund = await gateway.post(f"/v1/payments/{payment_id}/refunds")
    assert refund.body["fee_returned_minor"] == 0
    assert (await balance(gateway))["available"] == -165


async def test_what_a_bank_takes_back_gives_its_fee_back_like_a_refund(gateway: RunningGateway) -> None:
    await set_terms(gateway, fee_plan={"rules": [{"basis_points": 100}], "returns_on_refund": True})
    method = {"type": "bank", "bank": {"scheme": "sepa_returned"}}
    payment_id = (await gateway.pay(method=method, amount_minor=10_000)).body["id"]
    async with asyncio.timeout(30):
        while (await gateway.payment(payment_id))["refunded_minor"] == 0:
            await asyncio.sleep(0.02)
            await replay_parked_events(gateway.deps)  # a return that overtook its success waits for it
    assert (await gateway.payment(payment_id))["fee_returned_minor"] == 100
    assert await as_of(gateway, platform_account("fees", "EUR")) == 0


async def test_a_refund_that_the_channel_refuses_gives_no_fee_back(gateway: RunningGateway) -> None:
    await set_terms(gateway, settlement_delay_days=0, fee_plan=a_plan(returns_on_refund=True))
    payment_id = (await gateway.pay("tok_refund_declined", amount_minor=10_000)).body["id"]
    refused = await gateway.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": 5_000})
    assert refused.body["status"] == "failed"
    payment = await gateway.payment(payment_id)
    assert (payment["refunded_minor"], payment["fee_returned_minor"]) == (0, 0)
    assert await as_of(gateway, platform_account("fees", "EUR")) == 165


async def test_no_refund_gives_back_more_than_was_charged_whatever_the_code_believes(
    gateway: RunningGateway,
) -> None:
    await captured_and_settled(gateway, returns_on_refund=True)
    with pytest.raises(Exception, match="payment_fee_returned_within_fee_check"):
        await settled(gateway, "UPDATE payments.payment SET fee_returned_minor = 166", admin=True)


@pytest.mark.parametrize("returns", [True, False])
async def test_a_dispute_costs_its_fee_when_it_opens_and_a_win_gives_it_back_if_agreed(
    gateway: RunningGateway, returns: bool
) -> None:
    plan = {"rules": RULES, "dispute_minor": {"EUR": 1_500}, "dispute_returns_when_won": returns}
    await set_terms(gateway, settlement_delay_days=0, fee_plan=plan)
    payment_id = (await gateway.pay("tok_dispute", amount_minor=10_000)).body["id"]
    await settle_captures(gateway.deps)
    dispute = await disputed(gateway, payment_id)
    assert (dispute["fee_minor"], dispute["fee_returned_minor"]) == (1_500, 0)
    assert (await balance(gateway))["available"] == 9_835 - 10_000 - 1_500
    name = await settled(gateway, "SELECT channel_reference FROM payments.dispute")
    await operate(gateway, dispute=name, outcome="won")
    won = await until(gateway, dispute["id"], "won")
    assert won["fee_returned_minor"] == (1_500 if returns else 0)
    assert (await balance(gateway))["available"] == 9_835 - (0 if returns else 1_500)
    assert await as_of(gateway, platform_account("fees", "EUR")) == 165 + (0 if returns else 1_500)
    newest = (await gateway.call("GET", "/v1/balance-transactions")).body["data"][0]
    assert (newest["type"], newest["fee_minor"]) == ("dispute_won", -1_500 if returns else 0)
    assert (await gateway.verification())["balanced"]
