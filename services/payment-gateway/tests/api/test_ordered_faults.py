"""Every fault of the sandbox, by each way to order it, through the gateway: what a client sees, and who was charged."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from gateway_rig import Reply, RunningGateway, a_sale, run_gateway
from sqlalchemy import text

from payment_gateway.clients.simulators.scripts import AMOUNTS, SCRIPTS, Fault
from payment_gateway.operations.resolve_attempts import resolve_attempts
from platform_cli.embedded.testing import FreshDatabase

REPORTED = (Fault.DUPLICATE_CALLBACKS, Fault.SHUFFLED_CALLBACKS)
HANGING = (Fault.HANG_AFTER, Fault.HANG_BEFORE)
NOTHING_DONE = (Fault.HANG_BEFORE, Fault.RESET_BEFORE, Fault.ERROR)
AMOUNT = 1250

WAYS = ("token", "amount", "header")


async def order(gateway: RunningGateway, way: str, fault: Fault) -> tuple[Reply, int]:
    """Ask for a payment with this fault; its answer, and its amount."""
    if way == "token":
        token = next(name for name, script in SCRIPTS.items() if script.fault is fault)
        return await gateway.pay(token), AMOUNT
    if way == "amount":
        amount = next(amount for amount, script in AMOUNTS.items() if script.fault is fault)
        return await gateway.pay(amount_minor=amount), amount
    token = "tok_3ds" if fault in REPORTED else "tok_visa"
    return await gateway.post("/v1/payments", a_sale(token), headers={"Sandbox-Fault": fault}), AMOUNT


async def resolved(gateway: RunningGateway, payment_id: str) -> str:
    """How it ends once the resolver has asked."""
    for _ in range(6):
        async with gateway.deps.engine.begin() as connection:
            await connection.execute(
                text("UPDATE payments.attempt SET due_at = now() WHERE due_at IS NOT NULL")
            )
        await resolve_attempts(gateway.deps)
        if (found := await gateway.status(payment_id)) != "unknown":
            return found
    return "unknown"


async def charged(gateway: RunningGateway) -> int:
    lines = [line for name in ("card_sim", "card_sim_2") for line in await gateway.simulators.journal(name)]
    return sum(line.get("charged_minor", 0) for line in lines)


async def effects(gateway: RunningGateway, count: int) -> list[str]:
    """What the first `count` reports of a channel did, in the order of their coming."""
    statement = text("SELECT effect FROM payments.channel_event ORDER BY received_at, event_id")
    async with asyncio.timeout(30):
        while True:
            async with gateway.deps.engine.connect() as connection:
                found = list(await connection.scalars(statement))
            if len(found) >= count:
                return found
            await asyncio.sleep(0.02)


@pytest.fixture
async def gateway(fresh_database: FreshDatabase, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """One that soon gives up what never answers, and has patience with what does, on a busy machine too."""
    callspec = getattr(request.node, "callspec", None)
    patience_s = 2.0 if callspec and callspec.params.get("fault") in HANGING else 20.0
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path / "journals", channel_timeout_s=patience_s) as running:
        yield running


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", Fault)
async def test_a_fault_does_what_its_word_says_however_it_is_ordered(
    gateway: RunningGateway, fault: Fault, way: str
) -> None:
    reply, amount = await order(gateway, way, fault)
    payment_id = str(reply.body["id"])
    if fault in REPORTED:
        assert (reply.status, reply.body["status"]) == (201, "requires_action"), reply.raw
        page = reply.body["next_action"]["url"]
        async with gateway.session.post(page, json={"outcome": "passed"}) as answered:
            assert answered.status == 200
        # A duplicate has the same id, and is one row; an outdated report is another one, and changes nothing.
        wanted = ["applied"] if fault is Fault.DUPLICATE_CALLBACKS else ["applied", "stale"]
        assert await effects(gateway, len(wanted)) == wanted
        assert await gateway.status(payment_id) == "captured"
    elif fault is Fault.SLOW:
        assert (reply.status, reply.body["status"]) == (201, "captured"), reply.raw
    elif fault is Fault.UNAVAILABLE:
        assert (reply.status, reply.body["status"]) == (201, "failed"), reply.raw
        amount = 0
    else:
        assert (reply.status, reply.body["status"]) == (202, "unknown"), reply.raw
        done = fault not in NOTHING_DONE
        assert await resolved(gateway, payment_id) == ("captured" if done else "failed")
        amount = amount if done else 0
    assert await charged(gateway) == amount
    assert (await gateway.verification())["balanced"]


async def test_the_header_belongs_to_the_request_that_a_key_stands_for(gateway: RunningGateway) -> None:
    fault = {"Sandbox-Fault": "refund:charge-then-drop"}
    first = await gateway.post("/v1/payments", a_sale(), key="k", headers=fault)
    again = await gateway.post("/v1/payments", a_sale(), key="k", headers=fault)
    assert (first.status, again.raw) == (201, first.raw)
    assert (await gateway.post("/v1/payments", a_sale(), key="k")).problem == "idempotency-key-reuse"
    refund = await gateway.post(f"/v1/payments/{first.body['id']}/refunds", {"amount_minor": 100})
    assert (refund.status, refund.body["status"]) == (202, "pending"), "it stays with the payment"


async def test_stripes_clients_order_faults_by_the_same_header(gateway: RunningGateway) -> None:
    path, fault = "/stripe/v1/payment_intents", {"Sandbox-Fault": "charge-then-drop", "Idempotency-Key": "k"}
    form = {"amount": "1250", "currency": "eur", "payment_method": "pm_card_visa", "confirm": "true"}
    lost = await gateway.call("POST", path, data=form, headers=fault)
    assert (lost.status, lost.body["status"]) == (200, "processing")
    other = await gateway.call("POST", path, data=form, headers={"Idempotency-Key": "k"})
    assert (other.status, other.body["error"]["type"]) == (400, "idempotency_error"), (
        "it is part of the request"
    )
    wrong = await gateway.call("POST", path, data=form, headers={"Sandbox-Fault": "Hang!"})
    assert (wrong.status, wrong.body["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    "words", ["", "Hang!", "bogus", "charge-then-dorp", "settle:hang", "x" * 41, "hang hang"]
)
async def test_what_is_no_word_is_refused_before_anybody_is_asked(
    gateway: RunningGateway, words: str
) -> None:
    reply = await gateway.post("/v1/payments", a_sale(), headers={"Sandbox-Fault": words})
    assert reply.status == 422, reply.raw
    assert await charged(gateway) == 0


async def test_outside_a_sandbox_the_header_does_nothing(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path / "journals", sandbox=False) as gateway:
        reply = await gateway.post("/v1/payments", a_sale(), headers={"Sandbox-Fault": "hang"})
        assert (reply.status, reply.body["status"], reply.body["metadata"]) == (201, "captured", {})


@pytest.mark.parametrize(
    "method",
    [{"type": "wallet", "wallet": {"provider": "qr"}}, {"type": "bank", "bank": {"scheme": "sepa"}}],
    ids=["wallet", "bank"],
)
async def test_an_amount_orders_faults_of_a_wallet_and_a_bank_too(
    gateway: RunningGateway, method: dict[str, Any]
) -> None:
    lost = await gateway.pay(method=method, amount_minor=9_966_608)
    assert (lost.status, lost.body["status"]) == (202, "unknown")
    await gateway.pay(method=method, amount_minor=9_966_611)
    assert await effects(gateway, 2) == ["applied", "stale"]
