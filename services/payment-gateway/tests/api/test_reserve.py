"""The rolling reserve over real HTTP: kept with the settlement, given back once, its sum always that of its shares."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from gateway_rig import ADMIN, RunningGateway
from money_rig import balance, funded, set_terms, settled
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from payment_gateway.operations.make_payout import schedule_payouts
from payment_gateway.operations.release_reserves import release_reserves
from payment_gateway.operations.settle_captures import settle_captures

A_TENTH = {"basis_points": 1_000, "days": 30}


async def months_pass(gateway: RunningGateway) -> None:
    """Every reserve was made 400 days earlier."""
    earlier = "created_at = created_at - interval '400 days', release_at = release_at - interval '400 days'"
    await settled(gateway, f"UPDATE payments.reserve SET {earlier} WHERE released_at IS NULL", admin=True)


async def test_a_settlement_keeps_a_share_back_and_the_job_releases_it_when_its_days_are_over(
    gateway: RunningGateway,
) -> None:
    await funded(gateway, 10_000, reserve=A_TENTH)
    after = await balance(gateway)
    assert (after["available"], after["reserve"], after["pending"]) == (9_000, 1_000, 0)
    refused = await gateway.post(
        "/v1/payouts", {"amount_minor": 9_001, "currency": "EUR", "destination": "ba_pays"}
    )
    assert refused.problem == "insufficient-funds"
    assert await release_reserves(gateway.deps) == 0, "not before its time"
    await months_pass(gateway)
    assert await release_reserves(gateway.deps) == 1
    assert await release_reserves(gateway.deps) == 0
    after = await balance(gateway)
    assert (after["available"], after["reserve"]) == (10_000, 0)
    told = (await gateway.call("GET", "/v1/balance-transactions")).body["data"]
    assert [(one["type"], one["available_minor"]) for one in told] == [
        ("reserve_released", 1_000),
        ("reserve", -1_000),
        ("settlement", 10_000),
        ("charge", 0),
    ]
    assert (await gateway.verification())["balanced"]


async def test_what_jobs_do_at_once_is_kept_once_and_released_once(gateway: RunningGateway) -> None:
    await set_terms(gateway, settlement_delay_days=0, reserve=A_TENTH)
    await gateway.captured(10_000)
    await asyncio.gather(*(settle_captures(gateway.deps) for _ in range(4)))
    assert (await balance(gateway))["reserve"] == 1_000
    await months_pass(gateway)
    assert sum(await asyncio.gather(*(release_reserves(gateway.deps) for _ in range(4)))) == 1
    assert (await balance(gateway))["available"] == 10_000
    assert (await gateway.verification())["balanced"]


async def test_a_reserve_is_not_filled_from_what_pays_a_debt(gateway: RunningGateway) -> None:
    await funded(gateway, 1_000, reserve=A_TENTH, payout_destination="ba_pays")
    await schedule_payouts(gateway.deps)
    payment_id = await gateway.captured(2_000)
    await settled(gateway, "UPDATE payments.merchant_terms SET settlement_delay_days = 60", admin=True)
    await gateway.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": 1_980})
    assert (await balance(gateway))["available"] == -1_980
    await set_terms(gateway, settlement_delay_days=0, reserve=A_TENTH)
    assert await settle_captures(gateway.deps) == 1
    after = await balance(gateway)
    assert (after["available"], after["reserve"]) == (0, 100 + 20), (
        "20 were left of 2,000, of which 200 are a tenth"
    )


async def test_a_reserve_keeps_what_was_agreed_when_the_terms_change(gateway: RunningGateway) -> None:
    await funded(gateway, 10_000, reserve=A_TENTH)
    await funded(gateway, 10_000, reserve=None)
    shown = (await gateway.call("GET", "/v1/reserves")).body
    assert [one["amount_minor"] for one in shown["data"]] == [1_000]
    assert (shown["data"][0]["released_at"], shown["next_cursor"]) == (None, None)
    after = await balance(gateway)
    assert (after["available"], after["reserve"]) == (19_000, 1_000)


async def test_reserves_are_told_and_the_events_carry_their_journals(gateway: RunningGateway) -> None:
    await funded(gateway, 10_000, reserve=A_TENTH)
    await months_pass(gateway)
    await release_reserves(gateway.deps)
    async with gateway.deps.engine.connect() as connection:
        told = await connection.execute(
            text("SELECT type, data FROM payments.outbox_event WHERE type LIKE 'reserve.%' ORDER BY id")
        )
        events = [(kind, data["journal"]["transfers"][0], data["reserve"]) for kind, data in told]
    assert [(kind, line["amount_minor"]) for kind, line, _ in events] == [
        ("reserve.held.v1", 1_000),
        ("reserve.released.v1", 1_000),
    ]
    assert [reserve["released_at"] is None for _, _, reserve in events] == [True, False]


@pytest.mark.parametrize(
    "wrong",
    [{"basis_points": 0, "days": 30}, {"basis_points": 10_001, "days": 30}, {"basis_points": 100, "days": 0},
     {"basis_points": 100, "days": 366}, {"basis_points": 100}, {"days": 30}, {"basis_points": 1.5, "days": 30}],
)  # fmt: skip
async def test_a_reserve_that_makes_no_sense_is_refused(
    gateway: RunningGateway, wrong: dict[str, float]
) -> None:
    path = f"/v1/merchants/{gateway.merchant_id}/terms"
    reply = await gateway.call("PUT", path, token=ADMIN, raw=orjson.dumps({"reserve": wrong}))
    assert reply.status == 422, reply.raw


async def test_the_terms_show_the_reserve_and_the_audit_log_who_set_it(gateway: RunningGateway) -> None:
    await set_terms(gateway, reserve=A_TENTH)
    path = f"/v1/merchants/{gateway.merchant_id}/terms"
    assert (await gateway.call("GET", path, token=ADMIN)).body["reserve"] == A_TENTH
    (entry,) = (await gateway.call("GET", "/v1/audit-log?limit=1")).body["data"]
    assert (entry["action"], entry["details"]["reserve"]) == ("merchant.terms_changed", A_TENTH)


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("UPDATE payments.account SET debits_posted = debits_posted + 1001 WHERE kind = 'reserve'",
         "reserve_is_not_overdrawn"),
        ("UPDATE payments.reserve SET released_at = now()", "released_when_due"),
        ("UPDATE payments.reserve SET amount_minor = 0", "amount_is_positive"),
        ("UPDATE payments.merchant_terms SET reserve_days = NULL", "reserve_is_sane"),
    ],
)  # fmt: skip
async def test_the_database_refuses_what_no_reserve_can_be(
    gateway: RunningGateway, change: str, check: str
) -> None:
    await funded(gateway, 10_000, reserve=A_TENTH)
    with pytest.raises(IntegrityError, match=check):
        await settled(gateway, change, admin=True)
