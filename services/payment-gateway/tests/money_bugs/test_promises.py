"""Promises P2 and P4 of reliability.md, and decision 15: what is not answered with a success has moved nothing.

PROOF_SCALE=50 makes the nightly run of it: so many times more payments.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import asyncpg
import pytest
from gateway_rig import Reply, RunningGateway, a_sale
from sqlalchemy import text
from witnesses import agree, charged_and_refunded, resolve

from platform_cli.embedded.testing import TestDatabase

SCALE = int(os.environ.get("PROOF_SCALE", "1"))

ALWAYS_FAIL = """
    CREATE FUNCTION payments.always_fail() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001'; END $$;
    CREATE TRIGGER always_fail BEFORE INSERT ON payments.attempt FOR EACH ROW EXECUTE FUNCTION payments.always_fail();
"""


async def test_fifty_refunds_at_once_give_back_no_more_than_was_taken(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """P4. Sixteen of fifty refunds of 6 fit into each charge of 100; every other one is told what remains.

    On a slow machine a refund may provably never reach the channel, which leaves its amount to others, or its answer
    may come too late: who asks until nothing is left gets sixteen in all.
    """
    payments = [await gateway.captured(10_000) for _ in range(2 * SCALE)]
    for payment_id in payments:
        path = f"/v1/payments/{payment_id}/refunds"
        replies = await asyncio.gather(*(g.post(path, {"amount_minor": 600}) for g in (gateway, twin) * 25))
        given = [reply.body["status"] for reply in replies if reply.status in (201, 202)]
        refused = [reply for reply in replies if reply.status not in (201, 202, 503)]
        assert {(r.status, r.problem, r.body["remaining_minor"]) for r in refused} <= {
            (422, "amount-exceeds-remaining", 10_000 - 600 * n) for n in range(17)
        }
        assert len(given) - given.count("failed") <= 16
        while (reply := await gateway.post(path, {"amount_minor": 600})).status in (201, 202, 503):
            if reply.status == 503:  # the channel of a machine that stood still is left alone for a while
                await asyncio.sleep(0.5)
            else:
                given.append(reply.body["status"])
        assert (reply.problem, reply.body["remaining_minor"]) == ("amount-exceeds-remaining", 400)
        assert given.count("succeeded") + given.count("pending") == 16
        await resolve(gateway)
        assert (await gateway.payment(payment_id))["refunded_minor"] == 9_600
    await agree(gateway, 10_000 * len(payments), 9_600 * len(payments))


async def test_fifty_captures_at_once_take_no_more_than_is_held(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """P4. Captures of 60 from a hold of 100, with voids among them: one is taken at most, the losers get 409 or 422."""
    taken = 0
    for _ in range(2 * SCALE):
        payment_id = await gateway.hold(10_000)
        path = f"/v1/payments/{payment_id}"
        captures = [g.post(f"{path}/capture", {"amount_minor": 6_000}) for g in (gateway, twin) * 20]
        voids = [g.post(f"{path}/void") for g in (gateway, twin) * 5]
        mixed = [call for pair in zip(captures[::4], voids, strict=True) for call in pair]
        replies = await asyncio.gather(*mixed, *(call for call in captures if call not in mixed))
        assert {reply.status for reply in replies} <= {200, 409, 422}
        refused = {reply.problem for reply in replies if reply.status != 200}
        assert refused <= {"operation-in-progress", "invalid-state", "amount-exceeds-remaining"}, (
            "by us, not by it"
        )
        once_more = await gateway.post(f"{path}/capture", {"amount_minor": 6_000})
        assert once_more.problem in ("invalid-state", "amount-exceeds-remaining")
        end = await gateway.payment(payment_id)
        assert end["captured_minor"] in (0, 6_000)
        taken += end["captured_minor"]
    await agree(gateway, taken)


async def test_an_intent_that_is_sent_many_times_to_two_gateways_is_charged_once(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """P2. One to five copies at once, to both; some clients hang up before the answer. Each client repeats until it has
    one: exactly one charge by the channel's own journal, and one body per key."""
    chance = random.Random(20_261_126)
    intents = [f"intent-{n}" for n in range(15 * SCALE)]
    bodies: dict[str, set[bytes]] = {key: set() for key in intents}

    async def client(g: RunningGateway, key: str, patience_s: float) -> None:
        while True:
            try:
                reply = await asyncio.wait_for(g.pay(key=key), patience_s)
            except TimeoutError:
                patience_s = 10.0
                continue
            if reply.status == 201:
                bodies[key].add(reply.raw)
                return
            assert reply.status in (202, 409), reply.raw
            await asyncio.sleep(0.02)

    def patience_s() -> float:
        return chance.choice([0.002, 0.01, 0.03, 10.0])

    clients = [
        client(chance.choice([gateway, twin]), key, patience_s())
        for key in intents
        for _ in range(chance.randint(1, 5))
    ]
    chance.shuffle(clients)
    await asyncio.gather(*clients)
    assert {key: len(found) for key, found in bodies.items()} == dict.fromkeys(intents, 1)
    journal = [line for line in await gateway.simulators.journal() if line.get("charged_minor")]
    assert len(journal) == len(intents)
    assert (await gateway.rows())["payment"] == len(intents)
    await agree(gateway, 1250 * len(intents))


async def balances(gateway: RunningGateway) -> dict[str, Any]:
    """Everything that says where money is: the ledger, the payments, the channel."""
    async with gateway.deps.engine.connect() as connection:
        accounts = await connection.execute(
            text("SELECT to_jsonb(a) - 'created_at' FROM payments.account a ORDER BY id")
        )
        payments = await connection.execute(
            text(
                "SELECT id, authorised_minor, captured_minor, refunded_minor FROM payments.payment"
                " WHERE authorised_minor > 0 ORDER BY id"
            )
        )
        refunds = await connection.execute(text("SELECT id, status FROM payments.refund ORDER BY id"))
        return {
            "accounts": [row[0] for row in accounts],
            "payments": [tuple(row) for row in payments],
            "refunds": [tuple(row) for row in refunds],
            "channel": await charged_and_refunded(gateway),
        }


async def test_whatever_is_not_a_success_has_moved_nothing(
    gateway: RunningGateway, database: TestDatabase, subtests: pytest.Subtests
) -> None:
    """Decision 15: a 4xx or 5xx means that no balance changed, at the channel, in the ledger or on a payment."""
    held, captured = await gateway.hold(1_000), await gateway.captured(1_000)
    fragile = (await gateway.pay("tok_capture_declined", capture="manual")).body["id"]
    declined = (await gateway.pay("tok_declined")).body["id"]
    for name, floor in (("purse", 0), ("shop", None)):
        await gateway.post("/v1/ledger/accounts", {"name": name, "currency": "EUR", "floor_minor": floor})
    move = {"debit_account": "purse", "credit_account": "shop", "amount_minor": 1, "currency": "EUR"}
    await gateway.pay(key="used")
    _, stranger = await gateway.new_merchant()
    await gateway.call("POST", "/v1/idempotency-keys/cancel", json={"key": "closed"})

    refusals: dict[str, tuple[int, Any]] = {
        "no API key": (401, gateway.post("/v1/payments", a_sale(), token="sk_nobody")),
        "no idempotency key": (400, gateway.call("POST", "/v1/payments", json=a_sale())),
        "a member too many": (422, gateway.post("/v1/payments", a_sale() | {"amont": 1})),
        "half a JSON": (
            400,
            gateway.call("POST", "/v1/payments", raw=b"{", headers={"Idempotency-Key": "x"}),
        ),
        "nothing to pay": (422, gateway.pay(amount_minor=0)),
        "another request under the key": (422, gateway.pay(key="used", amount_minor=7)),
        "a cancelled key": (409, gateway.pay(key="closed")),
        "a card number": (422, gateway.pay("4242424242424242")),
        "too much captured": (422, gateway.post(f"/v1/payments/{held}/capture", {"amount_minor": 1_001})),
        "too much refunded": (422, gateway.post(f"/v1/payments/{captured}/refunds", {"amount_minor": 1_001})),
        "refund of a hold": (409, gateway.post(f"/v1/payments/{held}/refunds")),
        "void of a capture": (409, gateway.post(f"/v1/payments/{captured}/void")),
        "capture of a decline": (409, gateway.post(f"/v1/payments/{declined}/capture")),
        "another merchant's": (404, gateway.post(f"/v1/payments/{held}/capture", token=stranger)),
        "nobody's": (404, gateway.post("/v1/payments/pay_nothing/capture")),
        "the channel says no": (422, gateway.post(f"/v1/payments/{fragile}/capture")),
        "an empty purse": (422, gateway.post("/v1/ledger/transfers", move)),
        "no such account": (422, gateway.post("/v1/ledger/transfers", move | {"credit_account": "none"})),
        "from a to a": (422, gateway.post("/v1/ledger/transfers", move | {"credit_account": "purse"})),
    }
    before = await balances(gateway)
    for name, (status, call) in refusals.items():
        with subtests.test(name):
            reply: Reply = await call
            assert reply.status == status, reply.raw
            assert await balances(gateway) == before

    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute(ALWAYS_FAIL)
    finally:
        await admin.close()
    for name, path in (("pay", ""), ("capture", f"/{held}/capture"), ("refund", f"/{captured}/refunds")):
        with subtests.test(f"the database fails: {name}"):
            reply = await gateway.post(f"/v1/payments{path}", {} if path else a_sale())
            assert (reply.status, reply.problem) == (503, "not-committed")
            assert await balances(gateway) == before
