"""Answers that never come: UNKNOWN is a state, the truth is found, and nothing is charged twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from gateway_rig import RunningGateway, run_gateway
from sqlalchemy import text

from payment_gateway.domain.attempt import NotProcessed, Unknown
from payment_gateway.operations.resolve_attempts import resolve_attempts
from platform_cli.embedded.testing import FreshDatabase


async def resolve_until(gateway: RunningGateway, payment_id: str, status: str) -> None:
    """Let the resolver's clock tick faster than it does: everything unresolved is due at once."""
    for _ in range(6):
        async with gateway.deps.engine.begin() as connection:
            await connection.execute(
                text("UPDATE payments.attempt SET due_at = now() WHERE due_at IS NOT NULL")
            )
        await resolve_attempts(gateway.deps)
        if await gateway.status(payment_id) == status:
            return
    raise AssertionError(f"still {await gateway.status(payment_id)}")


@pytest.mark.parametrize(
    ("token", "end", "charged"),
    [("tok_timeout", "captured", 1250), ("tok_reset", "captured", 1250), ("tok_dropped", "failed", 0)],
)
async def test_the_resolver_finds_out_what_the_channel_did(
    gateway: RunningGateway, token: str, end: str, charged: int
) -> None:
    reply = await gateway.pay(token, key="k")
    payment_id = reply.body["id"]
    assert (reply.status, reply.body["status"]) == (202, "unknown")
    retried = await gateway.pay(token, key="k")
    assert (retried.status, retried.body["status"], retried.body["id"]) == (202, "unknown", payment_id)
    await resolve_until(gateway, payment_id, end)
    final = await gateway.pay(token, key="k")
    assert (final.status, final.body["status"]) == (201, end)
    assert await gateway.simulators.charged_minor("att_" + payment_id[4:]) == charged
    found = await gateway.verification()
    assert found["balanced"]
    assert sum(c["debits_minor"] for c in found["currencies"]) == charged


async def test_a_question_that_arrives_late_finds_its_key_closed(gateway: RunningGateway) -> None:
    reply = await gateway.pay("tok_dropped")
    await resolve_until(gateway, reply.body["id"], "failed")
    attempt_id = "att_" + reply.body["id"][4:]
    status, answer = await gateway.simulators.authorise(attempt_id, "tok_visa")
    assert (status, answer["outcome"]) == (503, "not_processed") or answer["outcome"] == "not_processed"
    assert await gateway.simulators.charged_minor(attempt_id) == 0


async def test_resolvers_that_race_record_one_truth(gateway: RunningGateway) -> None:
    """killbill#338 and #660: janitor and retry race, and a late completion makes two transactions."""
    reply = await gateway.pay("tok_timeout")
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text("UPDATE payments.attempt SET due_at = now()"))
    await asyncio.gather(*(resolve_attempts(gateway.deps) for _ in range(5)))
    await resolve_until(gateway, reply.body["id"], "captured")
    rows = await gateway.rows()
    assert rows["transfer"] == 1
    assert (await gateway.verification())["balanced"]


async def test_a_process_that_dies_between_the_commits_is_completed_by_the_resolver(
    gateway: RunningGateway,
) -> None:
    class Died(BaseException):
        """Stands for kill -9: nothing of the operation runs after it."""

    channel = gateway.deps.channels["card_sim"]
    send = channel.send

    async def charge_and_die(*arguments: object) -> None:
        await send(*arguments)  # type: ignore[arg-type]
        raise RuntimeError(Died.__doc__)

    channel.send = charge_and_die  # type: ignore[method-assign, assignment]
    reply = await gateway.pay(key="k")
    assert reply.status == 500
    channel.send = send  # type: ignore[method-assign]
    payment_id = (await gateway.call("GET", "/v1/payments")).body["data"][0]["id"]
    assert await gateway.status(payment_id) == "processing"
    assert (await gateway.pay(key="k")).status == 409
    await resolve_until(gateway, payment_id, "captured")
    assert (await gateway.pay(key="k")).body["status"] == "captured"
    assert len(await gateway.simulators.journal()) == 1


async def test_an_unknown_refund_reserves_its_amount_until_it_is_known(gateway: RunningGateway) -> None:
    payment_id = await gateway.captured(10_000)
    channel = gateway.deps.channels["card_sim"]
    send = channel.send

    async def refund_and_lose_the_answer(*arguments: object) -> object:
        await send(*arguments)  # type: ignore[arg-type]
        return Unknown("timeout")

    channel.send = refund_and_lose_the_answer  # type: ignore[method-assign, assignment]
    path = f"/v1/payments/{payment_id}/refunds"
    pending = await gateway.post(path, {"amount_minor": 6_000})
    assert (pending.status, pending.body["status"]) == (202, "pending")
    channel.send = send  # type: ignore[method-assign]
    assert (await gateway.post(path, {"amount_minor": 4_001})).problem == "amount-exceeds-remaining"
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text("UPDATE payments.attempt SET due_at = now() WHERE due_at IS NOT NULL"))
    await resolve_attempts(gateway.deps)
    assert (await gateway.call("GET", path)).body["data"][0]["status"] == "succeeded"
    assert (await gateway.verification())["balanced"]


async def test_a_channel_that_cannot_be_asked_takes_nothing_and_the_key_may_try_again(
    gateway: RunningGateway,
) -> None:
    payment_id = await gateway.hold()
    channel = gateway.deps.channels["card_sim"]
    send = channel.send

    async def refuse(*_: object) -> NotProcessed:
        return NotProcessed("not-sent")

    channel.send = refuse  # type: ignore[method-assign, assignment]
    reply = await gateway.post(f"/v1/payments/{payment_id}/capture", key="k")
    assert (reply.status, reply.problem) == (503, "no-channel")
    channel.send = send  # type: ignore[method-assign]
    again = await gateway.post(f"/v1/payments/{payment_id}/capture", key="k")
    assert (again.status, again.body["status"]) == (200, "captured")


async def test_a_channel_that_comes_back_settles_everything_within_a_minute(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    """Down for its answers and for every question about them; then the resolver's own schedule, on a running clock."""
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path, channel_timeout_s=2.0) as gateway:
        tokens = ["tok_timeout", "tok_dropped", "tok_reset"]
        replies = await asyncio.gather(*(gateway.pay(token) for token in tokens))
        channel = gateway.deps.channels["card_sim"]
        ask, close = channel.ask, channel.close

        async def down(*_: object) -> Unknown:
            return Unknown("timeout")

        channel.ask, channel.close = down, down  # type: ignore[method-assign, assignment]
        waited_s = 0
        for _ in range(3):
            waited_s = await tick(gateway, waited_s)
        channel.ask, channel.close = ask, close  # type: ignore[method-assign]
        back_s = waited_s
        while not {await gateway.status(r.body["id"]) for r in replies} <= {"captured", "failed"}:
            waited_s = await tick(gateway, waited_s)
            assert waited_s - back_s <= 60
        ends = [await gateway.status(reply.body["id"]) for reply in replies]
        assert ends == ["captured", "failed", "captured"]


async def tick(gateway: RunningGateway, waited_s: int) -> int:
    """Let time pass until the next question is due, at most a second at a time for the resolver: seconds so far."""
    async with gateway.deps.engine.begin() as connection:
        pause_s = await connection.scalar(
            text(
                "SELECT ceil(EXTRACT(epoch FROM min(due_at) - now())) FROM payments.attempt WHERE due_at IS NOT NULL"
            )
        )
        pause_s = max(1, int(pause_s or 1))
        moved = text(
            "UPDATE payments.attempt SET due_at = due_at - make_interval(secs => :pause_s) WHERE due_at IS NOT NULL"
        )
        await connection.execute(moved, {"pause_s": pause_s})
    await resolve_attempts(gateway.deps)
    return waited_s + pause_s
