"""A key does one thing once, however often it comes."""

import asyncio
import secrets
from typing import Any


def a_body(**changes: Any) -> dict[str, Any]:
    card = {"type": "card", "card": {"token": f"tok_visa_{secrets.token_hex(5)}"}}
    return {"amount_minor": 700, "currency": "EUR", "method": card, **changes}


async def test_the_same_key_gives_the_same_bytes_and_one_payment(merchant: Any) -> None:
    key, body = secrets.token_hex(8), a_body(reference="once")
    first = await merchant.post("/v1/payments", body, key)
    second = await merchant.post("/v1/payments", body, key)
    assert (second.status, second.raw) == (first.status, first.raw)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len((await merchant.get("/v1/payments", reference="once")).body["data"]) == 1


async def test_requests_with_one_key_at_the_same_time_make_one_payment(merchant: Any) -> None:
    key, body = secrets.token_hex(8), a_body(reference="together")
    replies = await asyncio.gather(*(merchant.post("/v1/payments", body, key) for _ in range(8)))
    assert {reply.status for reply in replies} <= {201, 409}
    assert len({reply.raw for reply in replies if reply.status == 201}) == 1
    assert len((await merchant.get("/v1/payments", reference="together")).body["data"]) == 1


async def test_the_same_key_with_another_body_is_refused(merchant: Any) -> None:
    key = secrets.token_hex(8)
    await merchant.post("/v1/payments", a_body(), key)
    other = await merchant.post("/v1/payments", a_body(amount_minor=701), key)
    assert (other.status, other.problem) == (422, "idempotency-key-reuse")


async def test_a_refund_s_key_refunds_once(merchant: Any) -> None:
    payment_id, key = (await merchant.pay(amount_minor=1000)).body["id"], secrets.token_hex(8)
    first = await merchant.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": 400}, key)
    second = await merchant.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": 400}, key)
    assert first.raw == second.raw
    assert (await merchant.payment(payment_id))["refunded_minor"] == 400
