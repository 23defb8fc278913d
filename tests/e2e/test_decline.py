"""A refused card is a result, not an error."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("tok_declined", "card_declined"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("tok_expired", "expired_card"),
        ("tok_lost", "lost_card"),
    ],
)
async def test_a_decline_says_why_and_moves_no_money(merchant: Any, token: str, code: str) -> None:
    reply = await merchant.pay(token)
    assert reply.status == 201
    assert (reply.body["status"], reply.body["decline_code"]) == ("declined", code)
    assert reply.body["captured_minor"] == 0

    refund = await merchant.post(f"/v1/payments/{reply.body['id']}/refunds", {})
    assert refund.status in {409, 422}
