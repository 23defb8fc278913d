"""Money bugs of holds in the ledger, of disputes and of conversions."""

from __future__ import annotations

import asyncio

from gateway_rig import RunningGateway
from money_rig import disputed, funded, operate, settled
from witnesses import attempt_of, charged_and_refunded

from payment_gateway.operations.convert_balances import convert_balances


async def test_a_refund_beside_or_after_a_chargeback_pays_nothing_twice(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 3, hyperswitch PR#10533, control-center#4109, gumroad PR#4372: a refund during or after a chargeback paid
    the payer twice.

    Refunds on both replicas race the channel's dispute over the whole charge; then the dispute is accepted. What is
    refunded and what is disputed share one remainder, before and after.
    """
    payment_id = await gateway.captured(10_000)
    path = f"/v1/payments/{payment_id}/refunds"
    refunds = [g.post(path, {"amount_minor": 4_000}) for g in (gateway, twin) * 2]
    await asyncio.gather(*refunds, operate(gateway, channel_key=attempt_of(payment_id), amount_minor=5_000))
    dispute = await disputed(gateway, payment_id)
    payment = await gateway.payment(payment_id)
    assert payment["disputed_minor"] == dispute["reserved_minor"]
    remaining = 10_000 - payment["refunded_minor"] - payment["disputed_minor"]
    assert remaining >= 0
    over = await twin.post(path, {"amount_minor": remaining + 1})
    assert (over.status, over.problem) == (422, "amount-exceeds-remaining")
    assert (await gateway.post(f"/v1/disputes/{dispute['id']}/accept")).body["status"] == "lost"
    after = await twin.post(path, {"amount_minor": remaining + 1})
    assert (after.status, after.problem) == (422, "amount-exceeds-remaining")
    charged, refunded = await charged_and_refunded(gateway)
    assert refunded == payment["refunded_minor"] <= charged - payment["disputed_minor"]
    assert (await gateway.verification())["balanced"]


async def test_what_is_held_cannot_be_spent(gateway: RunningGateway, twin: RunningGateway) -> None:
    """Thread 15, blnk#181: holds did not count toward the available balance, and the same money was promised twice.

    An account of 100 with a floor of 0: of four holds of 40 at once on two replicas two are placed, and then 21 cannot
    be moved although 100 are posted.
    """
    for name, floor in (("mint", None), ("purse", 0), ("shop", None)):
        body = {"name": name, "currency": "EUR", "floor_minor": floor}
        assert (await gateway.post("/v1/ledger/accounts", body)).status == 201

    def move(debit: str, credit: str, amount: int) -> dict[str, object]:
        return {"debit_account": debit, "credit_account": credit, "amount_minor": amount, "currency": "EUR"}

    path = "/v1/ledger/transfers"
    assert (await gateway.post(path, move("mint", "purse", 100))).status == 201
    hold = move("purse", "shop", 40) | {"pending": True}
    replies = await asyncio.gather(*(g.post(path, hold) for g in (gateway, twin) * 2))
    assert sorted(reply.status for reply in replies) == [201, 201, 422, 422]
    assert {r.problem for r in replies if r.status == 422} == {"insufficient-funds"}
    spent = await twin.post(path, move("purse", "shop", 21))
    assert (spent.status, spent.problem) == (422, "insufficient-funds")
    assert (await gateway.post(path, move("purse", "shop", 20))).status == 201
    shown = (await gateway.call("GET", "/v1/ledger/accounts/purse/balance?currency=EUR")).body
    assert (shown["posted_minor"], shown["held_minor"], shown["available_minor"]) == (80, 80, 0)
    assert (await gateway.verification())["balanced"]


async def test_a_conversion_is_written_down_with_its_rate_and_happens_once(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 19, blnk#55: a hold in another currency changed balances without a record.

    Jobs on both replicas convert one balance at once: one journal, both currencies balance, every counter is the sum of
    its rows, and the event tells rate and source.
    """
    await funded(gateway, 10_000, settlement_currency="USD")
    await asyncio.gather(*(convert_balances(g.deps) for g in (gateway, twin) * 3))
    found = (await gateway.call("GET", "/v1/balance")).body["balances"]
    assert {b["currency"]: b["available_minor"] for b in found} == {"EUR": 0, "USD": 10_825}
    told = await settled(
        gateway,
        "SELECT array_agg(data->'rate'->>'source') FROM payments.outbox_event WHERE type = 'balance.converted.v1'",
    )
    assert told == ["sandbox"]
    verified = await gateway.verification()
    assert verified["balanced"], verified
    assert {c["currency"] for c in verified["currencies"]} >= {"EUR", "USD"}
