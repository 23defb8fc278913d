"""A gateway that is behind: payments pass, reports are shed before anything, and the limits say which is which."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway_rig import Reply, RunningGateway, run_gateway

from payment_gateway.api.priorities import priority_of
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.overload import LIMIT_LEAST, Priority

pytestmark = pytest.mark.timing

BEHIND = {"overload_lag_s": 1e-9}  # no loop is that punctual: the limit is at its least within a second


@pytest.fixture
async def gateway(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with run_gateway(await fresh_database("payments"), tmp_path / "journals", **BEHIND) as running:
        await running.call("GET", "/v1/merchant")
        await asyncio.sleep(0.5)
        yield running


async def test_while_the_gateway_is_behind_payments_pass_and_reports_are_shed(
    gateway: RunningGateway,
) -> None:
    async def report() -> Reply:
        return await gateway.call("GET", "/v1/audit-log")

    replies = await asyncio.gather(
        *(gateway.pay() for _ in range(2 * LIMIT_LEAST)), *(report() for _ in range(2 * LIMIT_LEAST))
    )
    paid, reports = replies[: 2 * LIMIT_LEAST], replies[2 * LIMIT_LEAST :]
    assert {reply.status for reply in paid} == {201}
    shed = [reply for reply in reports if reply.status == 503]
    assert len(shed) > LIMIT_LEAST
    assert {(reply.problem, reply.headers["Retry-After"]) for reply in shed} == {("overloaded", "1")}
    assert (await report()).status == 200, "alone it is let in again"


async def test_what_is_shed_wrote_nothing_took_no_key_and_no_token(gateway: RunningGateway) -> None:
    payments = [await gateway.captured() for _ in range(2)]
    before = await gateway.rows()
    replies = await asyncio.gather(
        *(
            gateway.post(f"/v1/payments/{payments[n % 2]}/refunds", {"amount_minor": 10}, key=f"refund-{n}")
            for n in range(40)
        )
    )
    shed = [n for n, reply in enumerate(replies) if reply.status == 503 and reply.problem == "overloaded"]
    done = sum(reply.status == 201 for reply in replies)
    assert shed
    assert "RateLimit" not in replies[shed[0]].headers
    after = await gateway.rows()
    assert after["refund"] - before["refund"] == done
    assert after["idempotency_key"] - before["idempotency_key"] <= len(replies) - len(shed)
    again = await gateway.post(
        f"/v1/payments/{payments[shed[0] % 2]}/refunds", {"amount_minor": 10}, key=f"refund-{shed[0]}"
    )
    assert (again.status, "Idempotent-Replayed" in again.headers) == (201, False)


async def test_a_refusal_takes_less_than_20_ms_and_asks_nobody(gateway: RunningGateway) -> None:
    """Payments hang at their channel; a report comes meanwhile, on a connection of its own and a wrong key."""
    hanging = [asyncio.create_task(gateway.pay("tok_timeout")) for _ in range(LIMIT_LEAST)]
    await asyncio.sleep(1.0)
    took = []
    for _ in range(20):
        started = time.perf_counter()
        refused = await gateway.call("GET", "/v1/audit-log", token="sk_test_nobody")
        took.append(time.perf_counter() - started)
        assert (refused.status, refused.problem) == (503, "overloaded"), "before anybody asked who it is"
    assert sorted(took)[10] <= 0.02
    facade = await gateway.call("GET", "/stripe/v1/balance_transactions")
    assert (facade.status, facade.body["error"]["type"]) == (503, "api_error")
    assert (await gateway.call("GET", "/health/live")).status == 200
    assert {reply.status for reply in await asyncio.gather(*hanging)} == {202}


async def test_a_gateway_whose_connections_are_all_taken_is_behind(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    """However quick its loop is: what is let in would only queue for a connection."""
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path, overload_lag_s=10, database_pool_size=2) as gateway:
        await gateway.call("GET", "/v1/merchant")
        async with gateway.deps.engine.connect(), gateway.deps.engine.connect():
            waiting = [asyncio.create_task(gateway.call("GET", "/v1/merchant")) for _ in range(4)]
            await asyncio.sleep(0.9)
            shed = await gateway.call("GET", "/v1/audit-log")
            assert (shed.status, shed.problem) == (503, "overloaded")
        assert {reply.status for reply in await asyncio.gather(*waiting)} == {200}


PAY, REFUND, READ, LIST, REPORT = Priority


@pytest.mark.parametrize(
    ("method", "path", "priority"),
    [
        ("POST", "/v1/payments", PAY),
        ("POST", "/v1/payments/pay_1/capture", PAY),
        ("POST", "/stripe/v1/payment_intents/pi_1/confirm", PAY),
        ("POST", "/internal/channel-events/card_sim", PAY),
        ("POST", "/v1/payments/pay_1/refunds", REFUND),
        ("POST", "/stripe/v1/refunds", REFUND),
        ("POST", "/v1/payouts", REFUND),
        ("GET", "/v1/payments/pay_1", READ),
        ("GET", "/v1/payments/pay_1/refunds", READ),
        ("GET", "/stripe/v1/payment_intents/pi_1", READ),
        ("GET", "/v1/balance", READ),
        ("POST", "/v1/webhook-endpoints", READ),
        ("GET", "/v1/payments", LIST),
        ("GET", "/stripe/v1/payment_intents", LIST),
        ("GET", "/v1/events", LIST),
        ("GET", "/v1/audit-log", REPORT),
        ("GET", "/v1/ledger/verification", REPORT),
        ("GET", "/v1/balance-transactions", REPORT),
        ("GET", "/health/ready", None),
        ("GET", "/openapi.json", None),
    ],
)
def test_who_goes_first(method: str, path: str, priority: Priority | None) -> None:
    assert priority_of(method, path) is priority
