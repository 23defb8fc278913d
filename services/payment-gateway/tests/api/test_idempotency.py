"""One key, one effect, one answer."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest
from gateway_rig import RunningGateway, a_sale

A_TRANSFER = {"debit_account": "a", "credit_account": "b", "amount_minor": 1, "currency": "EUR"}


async def test_a_repeated_key_gets_the_same_bytes_and_says_so(gateway: RunningGateway) -> None:
    first = await gateway.pay(key="k")
    again = await gateway.pay(key="k")
    quoted = await gateway.pay(key='"k"')
    assert first.raw == again.raw == quoted.raw
    assert first.status == again.status == 201
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(await gateway.simulators.journal()) == 1


async def test_one_key_sent_twenty_times_at_once_charges_once(gateway: RunningGateway) -> None:
    replies = await asyncio.gather(*(gateway.pay(key="k") for _ in range(20)))
    assert {reply.status for reply in replies} <= {201, 409}
    assert len({reply.raw for reply in replies if reply.status == 201}) == 1
    assert all(reply.problem == "idempotency-in-progress" for reply in replies if reply.status == 409)
    assert all(reply.headers["Retry-After"] for reply in replies if reply.status == 409)
    assert len(await gateway.simulators.journal()) == 1
    assert (await gateway.rows())["payment"] == 1


async def test_two_keys_are_two_payments_however_alike(gateway: RunningGateway) -> None:
    """lago-api#5870: equal requests with two keys are both wanted."""
    first, second = await gateway.pay(key="a"), await gateway.pay(key="b")
    assert first.body["id"] != second.body["id"]


async def test_a_key_is_not_taken_for_another_request(gateway: RunningGateway) -> None:
    await gateway.pay(key="k")
    reply = await gateway.pay(key="k", amount_minor=1251)
    assert (reply.status, reply.problem) == (422, "idempotency-key-reuse")


async def test_a_key_belongs_to_its_route_and_its_merchant(gateway: RunningGateway) -> None:
    payment_id = (await gateway.pay(key="k")).body["id"]
    assert (await gateway.post(f"/v1/payments/{payment_id}/refunds", key="k")).status == 201
    _, stranger = await gateway.new_merchant()
    assert (await gateway.post("/v1/payments", a_sale(), key="k", token=stranger)).status == 201


async def test_a_key_of_one_payments_refund_is_not_anothers(gateway: RunningGateway) -> None:
    first, second = await gateway.captured(), await gateway.captured()
    assert (await gateway.post(f"/v1/payments/{first}/refunds", key="k")).status == 201
    reply = await gateway.post(f"/v1/payments/{second}/refunds", key="k")
    assert (reply.status, reply.problem) == (422, "idempotency-key-reuse")


async def test_a_refusal_is_repeated_too(gateway: RunningGateway) -> None:
    payment_id = await gateway.hold(1_000)
    path = f"/v1/payments/{payment_id}/capture"
    first = await gateway.post(path, {"amount_minor": 1_001}, key="k")
    await gateway.post(path)
    again = await gateway.post(path, {"amount_minor": 1_001}, key="k")
    assert (first.status, first.raw) == (again.status, again.raw)
    assert first.problem == "amount-exceeds-remaining"
    assert first.headers["Content-Type"] == again.headers["Content-Type"] == "application/problem+json"


async def test_a_refund_repeated_under_its_key_pays_once(gateway: RunningGateway) -> None:
    payment_id = await gateway.captured(10_000)
    path = f"/v1/payments/{payment_id}/refunds"
    replies = [await gateway.post(path, {"amount_minor": 3_000}, key="k") for _ in range(3)]
    assert len({reply.raw for reply in replies}) == 1
    assert (await gateway.payment(payment_id))["refunded_minor"] == 3_000


KEYS = [
    ([], "idempotency-key-missing"),
    ([""], "idempotency-key-invalid"),
    (['""'], "idempotency-key-invalid"),
    (["x" * 256], "idempotency-key-invalid"),
    (["a\tb"], "idempotency-key-invalid"),
    (["schlüssel"], "idempotency-key-invalid"),
    (["a", "b"], "idempotency-key-invalid"),
]


async def test_a_card_number_is_no_key_and_a_uuid_is_no_card_number(gateway: RunningGateway) -> None:
    refused = await gateway.pay(key="4242 4242 4242 4242")
    assert (refused.status, refused.problem) == (422, "card-data-not-allowed")
    assert (await gateway.pay(key="a4242424-2424-4242-9000-000000000000")).status == 201


async def test_a_key_is_needed_wherever_money_moves(
    gateway: RunningGateway, subtests: pytest.Subtests
) -> None:
    payment_id = await gateway.captured()
    routes = [("/v1/payments", a_sale())]
    routes += [(f"/v1/payments/{payment_id}/{act}", {}) for act in ("capture", "void", "refunds")]
    routes += [("/v1/ledger/transfers", A_TRANSFER)]
    before = await gateway.rows()
    for (path, body), (keys, code) in product(routes, KEYS):
        with subtests.test(path=path, keys=keys):
            headers: Any = [("Authorization", f"Bearer {gateway.key}")]
            headers += [("Idempotency-Key", key) for key in keys]
            async with gateway.session.post(gateway.url + path, json=body, headers=headers) as reply:
                assert reply.status == 400
                assert (await reply.json(content_type=None))["type"] == f"/problems/{code}"
            assert await gateway.rows() == before
