"""Payments over HTTP, from request to ledger."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from gateway_rig import RunningGateway, a_sale, run_gateway
from sqlalchemy import text

from payment_gateway.operations.expire_holds import expire_holds
from platform_cli.embedded.testing import FreshDatabase

pytestmark = pytest.mark.timing


async def test_a_sale_is_captured_once_at_the_channel_and_in_the_ledger(gateway: RunningGateway) -> None:
    reply = await gateway.pay()
    assert reply.status == 201
    payment = reply.body
    assert (payment["status"], payment["captured_minor"], payment["channel"]) == (
        "captured",
        1250,
        "card_sim",
    )
    assert payment["risk"]["decision"] == "allow"
    assert await gateway.payment(payment["id"]) == payment
    assert await gateway.simulators.charged_minor("att_" + payment["id"][4:]) == 1250
    found = await gateway.verification()
    assert found["balanced"]
    assert found["currencies"][0]["debits_minor"] == 1250


async def test_a_hold_is_captured_in_parts_and_the_rest_is_given_up(gateway: RunningGateway) -> None:
    payment_id = await gateway.hold(10_000)
    first = await gateway.post(f"/v1/payments/{payment_id}/capture", {"amount_minor": 4_000})
    assert (first.status, first.body["status"]) == (200, "partially_captured")
    rest = await gateway.post(f"/v1/payments/{payment_id}/void")
    assert (rest.status, rest.body["status"], rest.body["captured_minor"]) == (200, "captured", 4_000)
    found = await gateway.verification()
    assert found["balanced"]
    assert found["currencies"][0]["debits_pending_minor"] == 0


async def test_a_void_releases_the_hold_and_is_done_once(gateway: RunningGateway) -> None:
    payment_id = await gateway.hold()
    assert (await gateway.post(f"/v1/payments/{payment_id}/void")).body["status"] == "voided"
    again = await gateway.post(f"/v1/payments/{payment_id}/void")
    assert (again.status, again.problem, again.body["allowed"]) == (409, "invalid-state", [])


async def test_several_refunds_never_exceed_the_capture(gateway: RunningGateway) -> None:
    payment_id = await gateway.captured(10_000)
    path = f"/v1/payments/{payment_id}/refunds"
    first = await gateway.post(path, {"amount_minor": 6_000, "reason": "broken"})
    assert (first.status, first.body["status"]) == (201, "succeeded")
    too_much = await gateway.post(path, {"amount_minor": 4_001})
    assert (too_much.status, too_much.problem, too_much.body["remaining_minor"]) == (
        422, "amount-exceeds-remaining", 4_000,
    )  # fmt: skip
    assert (await gateway.post(path)).body["amount_minor"] == 4_000
    assert len((await gateway.call("GET", path)).body["data"]) == 2
    assert (await gateway.payment(payment_id))["refunded_minor"] == 10_000
    assert (await gateway.verification())["balanced"]


async def test_fifty_refunds_at_once_take_out_no_more_than_was_captured(gateway: RunningGateway) -> None:
    """hyperswitch#13182: two concurrent refunds of $60 on a $100 payment both succeeded."""
    payment_id = await gateway.captured(10_000)
    path = f"/v1/payments/{payment_id}/refunds"
    replies = await asyncio.gather(*(gateway.post(path, {"amount_minor": 600}) for _ in range(50)))
    assert sorted({reply.status for reply in replies}) == [201, 422]
    assert sum(reply.status == 201 for reply in replies) == 16
    assert (await gateway.payment(payment_id))["refunded_minor"] == 9_600
    assert (await gateway.verification())["balanced"]


async def test_captures_at_once_never_exceed_the_hold(gateway: RunningGateway) -> None:
    payment_id = await gateway.hold(10_000)
    path = f"/v1/payments/{payment_id}/capture"
    replies = await asyncio.gather(*(gateway.post(path, {"amount_minor": 6_000}) for _ in range(10)))
    assert sum(reply.status == 200 for reply in replies) == 1
    assert {reply.status for reply in replies} <= {200, 409, 422}
    assert (await gateway.payment(payment_id))["captured_minor"] == 6_000


async def test_capture_and_void_at_once_have_one_winner(gateway: RunningGateway) -> None:
    payment_id = await gateway.hold(10_000)
    replies = await asyncio.gather(
        gateway.post(f"/v1/payments/{payment_id}/capture"), gateway.post(f"/v1/payments/{payment_id}/void")
    )
    assert sorted(reply.status for reply in replies) == [200, 409]
    assert (await gateway.verification())["balanced"]


@pytest.mark.parametrize(
    ("token", "code"),
    [("tok_declined", "card_declined"), ("tok_insufficient_funds", "insufficient_funds")],
)
async def test_a_decline_is_a_result(gateway: RunningGateway, token: str, code: str) -> None:
    reply = await gateway.pay(token)
    assert (reply.status, reply.body["status"], reply.body["decline_code"]) == (201, "declined", code)
    assert (await gateway.rows())["transfer"] == 0


async def test_what_risk_blocks_no_channel_sees(gateway: RunningGateway) -> None:
    gateway.risk.decision = "block"
    reply = await gateway.pay()
    assert (reply.status, reply.body["status"], reply.body["decline_code"]) == (
        201,
        "declined",
        "risk_blocked",
    )
    assert await gateway.simulators.journal() == []


async def test_what_risk_wants_reviewed_is_held_and_not_taken(gateway: RunningGateway) -> None:
    gateway.risk.decision = "review"
    reply = await gateway.pay()
    assert (reply.status, reply.body["status"]) == (201, "authorised")


async def test_what_risk_challenges_waits_for_the_payer_and_then_for_nobody(gateway: RunningGateway) -> None:
    gateway.risk.decision = "challenge"
    reply = await gateway.pay()
    assert (reply.status, reply.body["status"]) == (201, "requires_action")
    assert reply.body["next_action"]["type"] == "three_ds"
    await gateway.session.post(reply.body["next_action"]["url"], json={"outcome": "passed"})
    await eventually_status(gateway, reply.body["id"], "captured")
    assert (await gateway.verification())["balanced"]


@pytest.mark.parametrize(
    ("amount_minor", "status"), [(1_000, "captured"), (20_000, "requires_action"), (60_000, "authorised")]
)
@pytest.mark.parametrize("fault", ["late", "broken"])
async def test_without_risk_the_fallback_policy_decides_by_amount(
    fresh_database: FreshDatabase, tmp_path: Path, fault: str, amount_minor: int, status: str
) -> None:
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path, risk_deadline_s=0.3) as gateway:
        if fault == "late":
            gateway.risk.delay_s = 0.6
        else:
            gateway.risk.status = 500
        reply = await gateway.pay(amount_minor=amount_minor)
        assert (reply.body["status"], reply.body["risk"]["fallback"]) == (status, True)


async def test_a_wallet_is_paid_when_the_payer_confirms(gateway: RunningGateway) -> None:
    reply = await gateway.post(
        "/v1/payments",
        {"amount_minor": 700, "currency": "EUR", "method": {"type": "wallet", "wallet": {"provider": "qr"}}},
    )
    assert (reply.status, reply.body["status"]) == (201, "requires_action")
    assert (reply.body["channel"], reply.body["next_action"]["type"]) == ("wallet_sim", "qr")
    await eventually_status(gateway, reply.body["id"], "captured")


async def test_pages_of_payments_are_whole_and_in_order(gateway: RunningGateway) -> None:
    made = [(await gateway.pay(reference=f"order-{n % 2}")).body["id"] for n in range(7)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await gateway.call("GET", f"/v1/payments?limit=3{cursor}")).body
        seen += [payment["id"] for payment in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == made[::-1]
    found = (await gateway.call("GET", "/v1/payments?reference=order-1")).body["data"]
    assert [payment["id"] for payment in found] == made[1::2][::-1]


async def test_another_merchants_payment_is_as_absent_as_none(gateway: RunningGateway) -> None:
    payment_id = await gateway.captured()
    _, stranger = await gateway.new_merchant()
    absent = "pay_" + "0" * 26
    for suffix in ("", "/refunds"):
        foreign = await gateway.call("GET", f"/v1/payments/{payment_id}{suffix}", token=stranger)
        missing = await gateway.call("GET", f"/v1/payments/{absent}{suffix}", token=stranger)
        assert foreign.status == missing.status == 404
        assert foreign.body["detail"] == missing.body["detail"]
    refund = await gateway.post(f"/v1/payments/{payment_id}/refunds", token=stranger)
    assert refund.status == 404


async def eventually_status(gateway: RunningGateway, payment_id: str, status: str) -> None:
    async with asyncio.timeout(30):
        while await gateway.status(payment_id) != status:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.05)


async def test_events_carry_the_trace_of_the_request_that_made_them(gateway: RunningGateway) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    await gateway.post("/v1/payments", a_sale(), headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    async with gateway.deps.engine.connect() as connection:
        found = await connection.scalars(
            text("SELECT traceparent FROM payments.outbox_event WHERE merchant_id IS NOT NULL")
        )
        assert [str(value)[3:35] for value in found] == [trace, trace]


async def test_a_refusal_that_is_stored_names_its_request(gateway: RunningGateway) -> None:
    payment_id = await gateway.hold(1_000)
    reply = await gateway.post(f"/v1/payments/{payment_id}/capture", {"amount_minor": 1_001})
    assert reply.body["request_id"] == reply.headers["X-Request-Id"]


async def test_without_the_database_the_answer_is_503_and_says_that_nothing_was_written(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path / "journals") as gateway:
        connection = await asyncpg.connect(database.admin_url)
        await connection.execute("ALTER ROLE payments_app CONNECTION LIMIT 0")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'payments_app'"
        )
        try:
            for reply in (await gateway.pay(), await gateway.call("GET", "/v1/payments")):
                assert reply.status == 503, reply.raw
                assert reply.headers["Retry-After"]
        finally:
            await connection.execute("ALTER ROLE payments_app CONNECTION LIMIT -1")
            await connection.close()
        assert (await gateway.pay()).status == 201


async def test_a_hold_that_is_too_old_is_given_up_at_the_channel_and_expires(gateway: RunningGateway) -> None:
    old, new = await gateway.hold(), await gateway.hold()
    async with gateway.deps.engine.begin() as connection:
        aged = text("UPDATE payments.payment SET created_at = now() - interval '8 days' WHERE id = :id")
        await connection.execute(aged, {"id": old})
    assert await expire_holds(gateway.deps) == 1
    assert [await gateway.status(one) for one in (old, new)] == ["expired", "authorised"]
    assert (await gateway.simulators.operation("att_" + old[4:]) or {})["outcome"] == "succeeded"
    assert (await gateway.verification())["balanced"]


async def test_a_finished_key_is_answered_while_the_channel_is_away(gateway: RunningGateway) -> None:
    payment_id = await gateway.hold()
    done = await gateway.post(f"/v1/payments/{payment_id}/capture", key="k")
    for name in ("card_sim", "card_sim_2"):
        breaker = gateway.deps.channels[name].channel._http.breaker  # type: ignore[attr-defined]
        while breaker.would_permit:
            breaker.record(breaker.acquire(), ok=False)
    again = await gateway.post(f"/v1/payments/{payment_id}/capture", key="k")
    assert (again.status, again.raw) == (200, done.raw)
    assert (await gateway.pay()).problem == "no-channel"


@pytest.mark.parametrize("path", ["/v1/payments/%00", "/v1/payments/pay_x", "/v1/payments/%00/refunds"])
async def test_what_is_no_payment_id_is_not_found(gateway: RunningGateway, path: str) -> None:
    assert (await gateway.call("GET", path)).status == 404


async def test_a_nul_in_a_query_is_refused(gateway: RunningGateway) -> None:
    assert (await gateway.call("GET", "/v1/payments?reference=a%00b")).status == 422


async def test_a_transfer_to_the_same_account_is_refused(gateway: RunningGateway) -> None:
    body = {"debit_account": "a", "credit_account": "a", "amount_minor": 5, "currency": "EUR"}
    reply = await gateway.post("/v1/ledger/transfers", body)
    assert (reply.status, reply.problem) == (422, "same-account")


async def test_a_final_capture_of_a_part_gives_up_the_rest_of_the_hold(gateway: RunningGateway) -> None:
    payment_id = await gateway.hold(10_000)
    captured = await gateway.post(
        f"/v1/payments/{payment_id}/capture", {"amount_minor": 6_000, "final": True}
    )
    assert (captured.status, captured.body["status"]) == (200, "captured")
    assert captured.body["captured_minor"] == 6_000
    more = await gateway.post(f"/v1/payments/{payment_id}/capture", {"amount_minor": 1})
    assert (more.status, more.problem) == (409, "invalid-state")
    too_much = await gateway.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": 6_001})
    assert (too_much.status, too_much.body["remaining_minor"]) == (422, 6_000)
    accounts = (await gateway.verification())["balanced"]
    assert accounts is True
    async with gateway.deps.engine.connect() as connection:
        pending = await connection.scalar(text("SELECT sum(debits_pending) FROM payments.account"))
    assert pending == 0, "nothing is held any more"
