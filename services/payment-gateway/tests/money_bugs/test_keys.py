"""Money bugs of repeated requests and their keys."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from gateway_rig import Reply, RunningGateway, a_sale
from sqlalchemy import text
from witnesses import DyingChannel, agree, resolve, standing_in, until_queued

from payment_gateway.operations.answer_request import CREATE_ROUTE

TOP_UP = {"debit_account": "funding", "credit_account": "wallet", "amount_minor": 500, "currency": "EUR"}

CLAIM_OF_ANOTHER_BODY = text(
    "INSERT INTO payments.idempotency_key (scope, key, fingerprint, subject)"
    " VALUES (:scope, :key, decode('00', 'hex'), 'att_other')"
)


async def open_accounts(gateway: RunningGateway, *names: str) -> None:
    for name in names:
        await gateway.post("/v1/ledger/accounts", {"name": name, "currency": "EUR"})


async def balance(gateway: RunningGateway, name: str) -> int:
    accounts = (await gateway.call("GET", "/v1/ledger/accounts")).body["data"]
    (found,) = [a["available_minor"] for a in accounts if a["name"] == name]
    return int(found)


async def test_a_key_whose_request_died_is_answered_in_the_end(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 7, medusa#1887: after a crash a client got the key's conflict for ever and could not buy.

    409 with Retry-After only until the resolver has found out; then every replica answers the key with the payment.
    """
    double = standing_in(gateway, DyingChannel)
    assert (await gateway.pay(key="k")).status == 500
    waiting = await twin.pay(key="k")
    assert (waiting.status, waiting.problem, waiting.headers["Retry-After"]) == (
        409, "idempotency-in-progress", "1",
    )  # fmt: skip
    await resolve(gateway, twin)
    answers = [await g.pay(key="k") for g in (gateway, twin)]
    assert {(reply.status, reply.body["status"]) for reply in answers} == {(201, "captured")}
    assert double.sent == 1
    await agree(gateway, 1250)


async def test_equal_top_ups_under_one_key_credit_once_and_under_two_keys_twice(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 8, lago-api#5870: identical sequential top-ups were both credited, for the endpoint had no key.

    One key credits once, in a row and at once on both replicas; a second key is a second wish.
    """
    await open_accounts(gateway, "funding", "wallet")
    path = "/v1/ledger/transfers"
    first = await gateway.post(path, TOP_UP, key="a")
    again = await twin.post(path, TOP_UP, key="a")
    assert (first.status, first.raw) == (again.status, again.raw)
    at_once = await asyncio.gather(*(g.post(path, TOP_UP, key="b") for g in (gateway, twin) * 5))
    assert len({(reply.status, reply.raw) for reply in at_once}) == 1
    assert at_once[0].body["id"] != first.body["id"]
    assert await balance(gateway, "wallet") == 1_000
    assert (await gateway.verification())["balanced"]


async def test_one_key_many_times_in_one_batch_and_after_a_timeout_is_one_effect(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 22, formance stack#1633, #1636: the same key twice in one batch crashed it; a key whose request timed out
    was lost.

    Copies of one key in one flush get one transfer and the same bytes. A key whose channel hangs answers 202 until it
    is known, and then the outcome.
    """
    await open_accounts(gateway, "funding", "wallet")
    path, keys = "/v1/ledger/transfers", [f"batch-{n}" for n in range(10)]
    copies = await asyncio.gather(*(gateway.post(path, TOP_UP, key=key) for key in keys for _ in range(5)))
    assert {reply.status for reply in copies} == {201}, (
        "the copies of a key wait for one flush, and all are answered"
    )
    assert [len({reply.raw for reply in copies[n : n + 5]}) for n in range(0, 50, 5)] == [1] * 10
    assert await balance(gateway, "wallet") == 500 * 10

    hung, impatient = await asyncio.gather(
        gateway.pay("tok_timeout", key="slow"), later(twin.pay("tok_timeout", key="slow"))
    )
    assert (hung.status, hung.body["status"]) == (202, "unknown")
    assert (impatient.status, impatient.problem) == (409, "idempotency-in-progress")
    told = await twin.pay("tok_timeout", key="slow")
    assert (told.status, told.body["id"]) == (202, hung.body["id"])
    await resolve(gateway, twin)
    answers = [await g.pay("tok_timeout", key="slow") for g in (gateway, twin)]
    assert {(reply.status, reply.body["status"]) for reply in answers} == {(201, "captured")}
    assert len({reply.raw for reply in answers}) == 1
    await agree(gateway, 1250)


async def test_one_request_sent_to_two_replicas_is_one_payment(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 25, bank-of-anthos#329, PR#168: a payment was recorded twice; the cache of the fix is one process's own.

    Four of each of fifteen keys at once, spread over two replicas: fifteen payments and charges, one body per key.
    """
    sent = [(g, f"key-{n}") for n in range(15) for g in (gateway, twin) * 2]
    replies = await asyncio.gather(*(g.pay(key=key) for g, key in sent))
    bodies: dict[str, set[bytes]] = {}
    for (_, key), reply in zip(sent, replies, strict=True):
        assert reply.status in (201, 409)
        if reply.status == 201:
            bodies.setdefault(key, set()).add(reply.raw)
        else:
            assert reply.problem == "idempotency-in-progress"
    assert [len(bodies[f"key-{n}"]) for n in range(15)] == [1] * 15
    assert (await gateway.rows())["payment"] == 15
    assert len(await gateway.simulators.journal()) == 15
    await agree(gateway, 15 * 1250)


async def test_a_key_that_another_replica_is_claiming_is_waited_for_and_told(gateway: RunningGateway) -> None:
    """Thread 25 at its narrowest: both replicas have looked, and the other one commits first. That is an answer about
    the key, not an error of the database."""
    claim = {"scope": f"{gateway.merchant_id} {CREATE_ROUTE}", "key": "k"}
    async with gateway.deps.engine.connect() as other, gateway.deps.engine.connect() as watcher:
        await other.execute(CLAIM_OF_ANOTHER_BODY, claim)
        paying = asyncio.ensure_future(gateway.pay(key="k"))
        await until_queued(watcher, 1)
        await other.commit()
    reply = await paying
    assert (reply.status, reply.problem) == (422, "idempotency-key-reuse")
    assert ((await gateway.rows())["payment"], await gateway.simulators.journal()) == (0, [])


async def later(call: Any) -> Reply:
    await asyncio.sleep(0.3)
    reply: Reply = await call
    return reply


async def cancel(gateway: RunningGateway, key: str, **body: str) -> Reply:
    raw = orjson.dumps({"key": key} | body)
    return await gateway.call("POST", "/v1/idempotency-keys/cancel", raw=raw)


async def test_a_client_that_lost_an_answer_can_close_its_key_instead_of_using_a_new_one(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 30, square-mcp-server#31: a retry minted a new key and the payer paid twice: cancel by key instead.

    A key that never came is closed for good, on every replica. What is held or unknown under a key is given up. What
    was taken is shown, and not refunded by itself.
    """
    closed = await cancel(gateway, "never-came")
    assert (closed.status, closed.body["status"], closed.body["payment"]) == (200, "cancelled", None)
    late = await twin.pay(key="never-came")
    other = await twin.pay(key="never-came", amount_minor=1)
    assert (late.status, late.problem) == (409, "idempotency-key-cancelled")
    assert other.raw == late.raw
    assert (await cancel(twin, "never-came")).body == closed.body
    assert await gateway.simulators.journal() == []

    held = (await gateway.pay(key="held", capture="manual")).body["id"]
    given_up = await cancel(twin, "held")
    assert (given_up.body["status"], given_up.body["payment"]["status"]) == ("cancelled", "voided")
    assert await gateway.status(held) == "voided"

    waiting = (await gateway.pay("tok_3ds", key="waiting")).body["id"]
    assert (await cancel(twin, "waiting")).body["status"] == "cancelled"
    assert await gateway.status(waiting) == "cancelled"

    dropped = await gateway.pay("tok_dropped", key="dropped")
    assert dropped.status == 202
    assert (await cancel(twin, "dropped")).body["payment"]["status"] == "failed"
    await agree(gateway, 0)

    lost = await gateway.pay("tok_reset", key="lost")
    assert lost.status == 202
    found = await cancel(twin, "lost")
    assert (found.status, found.body["status"], found.body["payment"]["status"]) == (
        200,
        "finished",
        "captured",
    )
    assert (await gateway.pay("tok_reset", key="lost")).body == found.body["payment"]
    await agree(gateway, 1250)

    refund = await gateway.post(f"/v1/payments/{lost.body['id']}/refunds", {"amount_minor": 50}, key="refund")
    shown = await cancel(gateway, "refund", route="POST /v1/payments/{id}/refund")
    assert (shown.body["status"], shown.body["response"]["body"]) == ("finished", refund.body)
    _, stranger = await gateway.new_merchant()
    theirs = await gateway.post("/v1/payments", a_sale(), key="never-came", token=stranger)
    assert theirs.status == 201, "a key belongs to its merchant"


async def test_a_payment_and_the_cancellation_of_its_key_at_once_end_as_one_of_them(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 30 as a race: the payment is refused, or it is given up, or the canceller is told to ask again."""
    for n in range(6):
        paid, cancelled = await asyncio.gather(
            gateway.pay(key=f"race-{n}", capture="manual"), cancel(twin, f"race-{n}")
        )
        while cancelled.status == 409:
            await asyncio.sleep(0.02)
            cancelled = await cancel(twin, f"race-{n}")
        assert cancelled.body["status"] == "cancelled"
        assert paid.status in (201, 409)
        if paid.status == 201:
            assert await gateway.status(paid.body["id"]) == "voided"
    rows = await gateway.rows()
    authorised = [line for line in await gateway.simulators.journal() if line["type"] == "authorisation"]
    assert len(authorised) == rows["payment"]
    await agree(gateway, 0)
