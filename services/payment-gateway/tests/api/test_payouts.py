"""Balances and payouts over real HTTP: nobody is paid what is not settled, and nobody twice."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from gateway_rig import RunningGateway
from money_rig import balance, funded, set_terms, settled, with_balance_of

from payment_gateway.operations.convert_balances import convert_balances
from payment_gateway.operations.make_payout import schedule_payouts
from payment_gateway.operations.send_payouts import send_payouts
from payment_gateway.operations.settle_captures import settle_captures


def a_payout(amount_minor: int = 4_000, destination: str = "ba_pays") -> dict[str, object]:
    return {"amount_minor": amount_minor, "currency": "EUR", "destination": destination}


async def due_now(gateway: RunningGateway) -> None:
    await settled(gateway, "UPDATE payments.payout SET due_at = now() WHERE due_at IS NOT NULL", admin=True)


async def test_a_capture_is_pending_until_its_settlement_delay_is_over(gateway: RunningGateway) -> None:
    await gateway.captured(10_000)
    assert await settle_captures(gateway.deps) == 0
    assert (await balance(gateway))["pending"] == 10_000
    refused = await gateway.post("/v1/payouts", a_payout())
    assert (refused.status, refused.problem) == (422, "insufficient-funds")
    await set_terms(gateway, settlement_delay_days=0)
    assert await settle_captures(gateway.deps) == 1
    assert await settle_captures(gateway.deps) == 0
    assert await balance(gateway) == {
        "available": 10_000,
        "pending": 0,
        "reserve": 0,
        "disputed": 0,
        "payouts_in_transit": 0,
    }


async def test_a_hold_is_nobodys_to_spend(gateway: RunningGateway) -> None:
    await set_terms(gateway, settlement_delay_days=0)
    await gateway.hold(10_000)
    assert await settle_captures(gateway.deps) == 0
    assert (await gateway.post("/v1/payouts", a_payout())).problem == "insufficient-funds"


async def test_two_settlements_at_once_move_a_capture_once(gateway: RunningGateway) -> None:
    await set_terms(gateway, settlement_delay_days=0)
    await gateway.captured(10_000)
    await asyncio.gather(*(settle_captures(gateway.deps) for _ in range(4)))
    assert (await balance(gateway))["available"] == 10_000


async def test_of_two_payouts_of_one_balance_one_wins(gateway: RunningGateway) -> None:
    await funded(gateway, 10_000)
    replies = await asyncio.gather(*(gateway.post("/v1/payouts", a_payout(10_000)) for _ in range(5)))
    assert sorted(reply.status for reply in replies) == [201, 422, 422, 422, 422]
    assert (await balance(gateway))["available"] == 0
    assert (await gateway.verification())["balanced"]


@pytest.mark.parametrize(
    ("destination", "rounds", "status", "available"),
    [("ba_pays", 1, "paid", 6_000), ("ba_slow", 2, "paid", 6_000), ("ba_closed", 1, "failed", 10_000),
     ("ba_returns", 2, "returned", 10_000)],
)  # fmt: skip
async def test_a_payout_ends_as_the_bank_says(
    gateway: RunningGateway, destination: str, rounds: int, status: str, available: int
) -> None:
    await funded(gateway, 10_000)
    made = await gateway.post("/v1/payouts", a_payout(destination=destination))
    assert (made.status, made.body["status"]) == (201, "pending")
    for _ in range(rounds):
        assert await send_payouts(gateway.deps) == 1
        await due_now(gateway)
    assert (await gateway.call("GET", f"/v1/payouts/{made.body['id']}")).body["status"] == status
    after = await balance(gateway)
    assert (after["available"], after["payouts_in_transit"]) == (available, 0)
    assert (await gateway.verification())["balanced"]


async def test_a_payout_whose_answer_is_lost_is_asked_again_and_paid_once(gateway: RunningGateway) -> None:
    await funded(gateway, 10_000)
    made = await gateway.post("/v1/payouts", a_payout(destination="ba_timeout"))
    assert await send_payouts(gateway.deps) == 1
    path = f"/v1/payouts/{made.body['id']}"
    assert (await gateway.call("GET", path)).body["status"] == "in_transit"
    assert (await balance(gateway))["payouts_in_transit"] == 4_000
    late = await gateway.post(f"{path}/cancel")
    assert (late.status, late.problem) == (409, "invalid-state")
    await due_now(gateway)
    assert await send_payouts(gateway.deps) == 1
    assert (await gateway.call("GET", path)).body["status"] == "paid"
    lines = (gateway.simulators.journals / "payout_sim.jsonl").read_bytes().splitlines()
    assert [orjson.loads(line)["key"] for line in lines] == [made.body["id"]]


async def test_a_cancelled_payout_restores_the_balance_and_is_never_sent(gateway: RunningGateway) -> None:
    await funded(gateway, 10_000)
    made = await gateway.post("/v1/payouts", a_payout())
    cancelled = await gateway.post(f"/v1/payouts/{made.body['id']}/cancel")
    assert (cancelled.status, cancelled.body["status"]) == (200, "cancelled")
    assert (await balance(gateway))["available"] == 10_000
    assert await send_payouts(gateway.deps) == 0


async def test_the_daily_payout_is_made_once_per_day_however_many_jobs_run(gateway: RunningGateway) -> None:
    await funded(gateway, 10_000, payout_destination="ba_pays")
    assert sum(await asyncio.gather(*(schedule_payouts(gateway.deps) for _ in range(4)))) == 1
    await gateway.captured(500)
    await settle_captures(gateway.deps)
    assert await schedule_payouts(gateway.deps) == 0
    (payout,) = (await gateway.call("GET", "/v1/payouts")).body["data"]
    assert (payout["amount_minor"], payout["status"]) == (10_000, "pending")


async def test_balance_transactions_tell_every_movement_page_by_page(gateway: RunningGateway) -> None:
    await funded(gateway, 10_000)
    await gateway.post("/v1/payouts", a_payout())
    first = (await gateway.call("GET", "/v1/balance-transactions?limit=2")).body
    second = (
        await gateway.call("GET", f"/v1/balance-transactions?limit=2&cursor={first['next_cursor']}")
    ).body
    shown = [(t["type"], t["pending_minor"], t["available_minor"]) for t in first["data"] + second["data"]]
    assert shown == [("payout", 0, -4_000), ("settlement", -10_000, 10_000), ("charge", 10_000, 0)]
    assert second["next_cursor"] is None


async def test_the_same_payout_key_twice_pays_once(gateway: RunningGateway) -> None:
    await funded(gateway, 10_000)
    one = await gateway.post("/v1/payouts", a_payout(), key="same")
    two = await gateway.post("/v1/payouts", a_payout(), key="same")
    assert (two.status, two.raw) == (201, one.raw)
    assert (await balance(gateway))["available"] == 6_000


async def test_a_fee_plan_takes_its_share_in_the_captures_own_journal(gateway: RunningGateway) -> None:
    plan = {"rules": [{"basis_points": 140, "method": "card", "fixed_minor": {"EUR": 25}}]}
    await funded(gateway, 10_000, fee_plan=plan)
    assert (await balance(gateway))["available"] == 10_000 - 165
    page = (await gateway.call("GET", "/v1/balance-transactions")).body["data"]
    charge = page[-1]
    assert (charge["type"], charge["amount_minor"], charge["fee_minor"], charge["net_minor"]) == (
        "charge",
        10_000,
        165,
        9_835,
    )
    assert (await gateway.verification())["balanced"]


async def test_a_merchant_settled_in_another_currency_gets_it_at_a_rate_that_is_told(
    gateway: RunningGateway,
) -> None:
    await funded(gateway, 10_000, settlement_currency="USD")
    assert await convert_balances(gateway.deps) == 1
    assert await convert_balances(gateway.deps) == 0
    found = (await gateway.call("GET", "/v1/balance")).body["balances"]
    assert {b["currency"]: b["available_minor"] for b in found} == {"EUR": 0, "USD": 10_825}
    told = await settled(
        gateway,
        "SELECT data->'rate'->>'source' FROM payments.outbox_event WHERE type = 'balance.converted.v1'",
    )
    assert told == "sandbox"
    noted = await settled(
        gateway, "SELECT metadata->>'source' FROM payments.journal WHERE metadata ? 'numerator'"
    )
    assert noted == "sandbox", "whoever reads the ledger can compute it again"
    assert (await gateway.verification())["balanced"]


async def test_the_two_legs_of_a_conversion_are_two_transactions_and_add_up_to_the_balances(
    gateway: RunningGateway,
) -> None:
    await funded(gateway, 10_000, settlement_currency="USD")
    await convert_balances(gateway.deps)
    listed: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        page = (
            await gateway.call("GET", f"/v1/balance-transactions?limit=1{cursor and f'&cursor={cursor}'}")
        ).body
        listed += page["data"]
        cursor = page["next_cursor"]
    legs = [(t["amount_minor"], t["currency"]) for t in listed if t["type"] == "conversion"]
    assert legs == [(10_825, "USD"), (-10_000, "EUR")]
    assert len({t["id"] for t in listed}) == len(listed) == 4
    sums = {c: sum(t["available_minor"] for t in listed if t["currency"] == c) for c in ("EUR", "USD")}
    assert sums == {"EUR": 0, "USD": 10_825}
    alone = (await gateway.call("GET", "/v1/balance-transactions?currency=USD")).body["data"]
    assert [t["id"] for t in alone] == [listed[0]["id"]]


async def test_balances_that_cannot_be_converted_stand_in_nobodys_way(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await funded(gateway, 10_000, settlement_currency="USD")
    monkeypatch.setattr("payment_gateway.operations.convert_balances.PAGE", 1)
    await with_balance_of(gateway, "mer_0", "INR", wanted="USD")  # before ours in every order, and not quoted
    assert await convert_balances(gateway.deps) == 1


async def test_who_was_paid_out_today_stands_in_nobodys_way(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await funded(gateway, 10_000, payout_destination="ba_pays")
    await with_balance_of(gateway, "mer_0", "EUR", destination="ba_pays")
    monkeypatch.setattr("payment_gateway.operations.make_payout.SCHEDULE_MAX", 1)
    assert await schedule_payouts(gateway.deps) == 1
    await with_balance_of(gateway, "mer_0", "EUR", destination="ba_pays")
    assert await schedule_payouts(gateway.deps) == 1, "the first has been paid out and has money again"
