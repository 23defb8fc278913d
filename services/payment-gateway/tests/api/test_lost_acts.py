"""Answers to captures, voids and refunds get lost as well, on the wire: the resolver finds out, and the three
witnesses (the client, the channel's journal, the ledger) tell the same story.
"""

from __future__ import annotations

from typing import Any

import pytest
from gateway_rig import Reply, RunningGateway
from simulator_rig import eventually
from sqlalchemy import text

from payment_gateway.operations.resolve_attempts import resolve_attempts

pytestmark = pytest.mark.timing


async def resolve(gateway: RunningGateway) -> None:
    """As if a minute had passed: whatever is unresolved is asked about until nothing is."""
    for _ in range(4):
        async with gateway.deps.engine.begin() as connection:
            await connection.execute(
                text("UPDATE payments.attempt SET due_at = now() WHERE due_at IS NOT NULL")
            )
        await resolve_attempts(gateway.deps)


async def paid(gateway: RunningGateway, token: str, **changes: Any) -> str:
    reply = await gateway.pay(token, amount_minor=10_000, **changes)
    assert reply.status == 201, reply.raw
    return f"/v1/payments/{reply.body['id']}"


async def stands(gateway: RunningGateway, path: str) -> tuple[str, int, int]:
    body = (await gateway.call("GET", path)).body
    return body["status"], body["captured_minor"], body["refunded_minor"]


async def owed_minor(gateway: RunningGateway) -> int:
    """What the ledger says that the channel owes."""
    async with gateway.deps.engine.connect() as connection:
        found = await connection.scalar(
            text(
                "SELECT COALESCE(sum(debits_posted - credits_posted), 0) FROM payments.account"
                " WHERE owner = 'channel:card_sim' AND kind = 'receivable'"
            )
        )
    return int(found or 0)


async def moved_minor(gateway: RunningGateway) -> int:
    """What the channel itself says that it took, less what it gave back."""
    lines = await gateway.simulators.journal()
    return sum(line.get("charged_minor", 0) - line.get("refunded_minor", 0) for line in lines)


async def agree(gateway: RunningGateway, amount_minor: int) -> None:
    assert await moved_minor(gateway) == amount_minor
    assert await owed_minor(gateway) == amount_minor
    assert (await gateway.verification())["balanced"]


async def test_a_capture_whose_answer_is_lost_is_captured_once(gateway: RunningGateway) -> None:
    path = await paid(gateway, "tok_capture_timeout", capture="manual")
    lost = await gateway.post(f"{path}/capture", {"amount_minor": 4_000}, key="c")
    assert (lost.status, lost.body["status"]) == (202, "authorised")
    again = await gateway.post(f"{path}/capture", {"amount_minor": 4_000}, key="c")
    assert again.status in (202, 409), "still not known"
    await resolve(gateway)
    assert await stands(gateway, path) == ("partially_captured", 4_000, 0)
    final = await gateway.post(f"{path}/capture", {"amount_minor": 4_000}, key="c")
    assert (final.status, final.body["captured_minor"]) == (200, 4_000)
    await agree(gateway, 4_000)


async def test_a_void_whose_answer_is_lost_is_voided(gateway: RunningGateway) -> None:
    path = await paid(gateway, "tok_void_timeout", capture="manual")
    assert (await gateway.post(f"{path}/void")).status == 202
    await resolve(gateway)
    assert await stands(gateway, path) == ("voided", 0, 0)
    await agree(gateway, 0)


@pytest.mark.parametrize(
    ("token", "status", "left"),
    [("tok_refund_timeout", "succeeded", 7_000), ("tok_refund_dropped", "failed", 10_000)],
)
async def test_a_refund_whose_answer_is_lost_is_found_out_about(
    gateway: RunningGateway, token: str, status: str, left: int
) -> None:
    path = await paid(gateway, token)
    lost = await gateway.post(f"{path}/refunds", {"amount_minor": 3_000}, key="r")
    assert (lost.status, lost.body["status"]) == (202, "pending")
    await resolve(gateway)
    (refund,) = (await gateway.call("GET", f"{path}/refunds")).body["data"]
    assert refund["status"] == status
    assert await stands(gateway, path) == ("captured", 10_000, 10_000 - left)
    await agree(gateway, left)


async def test_a_refund_that_the_channel_refuses_gives_its_amount_free(gateway: RunningGateway) -> None:
    path = await paid(gateway, "tok_refund_declined")
    refused = await gateway.post(f"{path}/refunds", {"amount_minor": 3_000})
    assert (refused.status, refused.body["status"]) == (201, "failed")
    assert await stands(gateway, path) == ("captured", 10_000, 0)
    await agree(gateway, 10_000)


async def test_a_wallet_that_reports_twice_is_booked_once(gateway: RunningGateway) -> None:
    body = {
        "amount_minor": 990,
        "currency": "EUR",
        "method": {"type": "wallet", "wallet": {"provider": "qr_twice"}},
    }
    reply: Reply = await gateway.post("/v1/payments", body)
    assert (reply.status, reply.body["status"]) == (201, "requires_action")
    journal = gateway.simulators.journals / "wallet_sim.jsonl"
    await eventually(lambda: b'"reported"' in journal.read_bytes(), within_s=30)
    assert await gateway.status(reply.body["id"]) == "captured"
    assert (await gateway.rows())["transfer"] == 1
    assert (await gateway.verification())["balanced"]
