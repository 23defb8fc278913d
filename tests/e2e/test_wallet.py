"""A payer scans a QR code; the wallet reports by itself."""

from typing import Any

import pytest

WAITING = {"requires_action", "processing", "unknown"}


@pytest.mark.parametrize(
    ("provider", "end"), [("qr", "captured"), ("qr_twice", "captured"), ("qr_declined", "declined")]
)
async def test_the_wallet_s_report_ends_the_payment(merchant: Any, provider: str, end: str) -> None:
    body = {
        "amount_minor": 990,
        "currency": "EUR",
        "method": {"type": "wallet", "wallet": {"provider": provider}},
    }
    reply = await merchant.post("/v1/payments", body)
    assert (reply.status, reply.body["status"]) == (201, "requires_action")
    assert reply.body["next_action"]["type"] == "qr"
    assert reply.body["next_action"]["payload"]

    payment = await merchant.settled(reply.body["id"], WAITING)
    assert payment["status"] == end
    assert payment["captured_minor"] == (990 if end == "captured" else 0)
