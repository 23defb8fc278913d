"""The issuer wants to see the payer first (3-D Secure)."""

from typing import Any
from urllib.parse import urlsplit

import pytest

WAITING = {"requires_action", "processing", "unknown"}


@pytest.mark.parametrize(
    ("answer", "end", "captured"),
    [("passed", "captured", 2500), ("failed", "declined", 0), ("abandoned", "declined", 0)],
)
async def test_the_payer_s_answer_decides(
    merchant: Any, channels: Any, session: Any, answer: str, end: str, captured: int
) -> None:
    reply = await merchant.pay("tok_3ds", amount_minor=2500)
    assert (reply.status, reply.body["status"]) == (201, "requires_action")
    assert reply.body["next_action"]["type"] == "three_ds"

    # The page's address is the channel's own; from outside of a cluster the same page is elsewhere.
    page = channels.base_url + urlsplit(reply.body["next_action"]["url"]).path
    async with session.post(page, json={"outcome": answer}) as answered:
        assert answered.status == 200
    payment = await merchant.settled(reply.body["id"], WAITING)
    assert (payment["status"], payment["captured_minor"]) == (end, captured)
    assert payment["next_action"] is None
