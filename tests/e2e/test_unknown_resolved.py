"""The channel's answer is lost: the outcome is unknown at first, and found out without a human."""

import asyncio
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("token", "end", "charged"),
    [
        ("tok_timeout", "captured", 900),  # charged, the answer never comes
        ("tok_reset", "captured", 900),  # charged, the connection breaks
        ("tok_dropped", "failed", 0),  # never charged, the answer never comes
    ],
)
async def test_the_outcome_is_found_out(merchant: Any, token: str, end: str, charged: int) -> None:
    reply = await merchant.pay(token, amount_minor=900)
    assert reply.status == 202, reply.raw
    assert reply.body["status"] == "unknown"

    payment = await merchant.settled(reply.body["id"])
    assert (payment["status"], payment["captured_minor"]) == (end, charged)


async def test_a_refusal_to_work_is_a_failure_without_charge(merchant: Any) -> None:
    reply = await merchant.pay("tok_error")
    payment = await merchant.settled(reply.body["id"])
    assert (payment["status"], payment["captured_minor"]) == ("failed", 0)


async def test_a_slow_channel_is_waited_for(merchant: Any) -> None:
    reply = await merchant.pay("tok_slow")
    assert (reply.status, reply.body["status"]) == (201, "captured")


async def test_several_lost_answers_at_once_are_all_found_out(merchant: Any) -> None:
    replies = await asyncio.gather(*(merchant.pay("tok_reset") for _ in range(3)))
    settled = await asyncio.gather(*(merchant.settled(reply.body["id"]) for reply in replies))
    assert {payment["status"] for payment in settled} == {"captured"}
