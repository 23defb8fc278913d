"""Batches whose transfers stand for themselves, over HTTP: a result for each, and one key for all."""

from __future__ import annotations

from typing import Any

from gateway_rig import RunningGateway
from test_ledger import balance, line, open_two

PATH = "/v1/ledger/transfers"


def told(body: dict[str, Any]) -> list[str]:
    return [
        result["problem"]["type"].removeprefix("/problems/") if result["status"] == "refused" else "done"
        for result in body["results"]
    ]


async def test_each_transfer_of_a_batch_has_its_own_result(gateway: RunningGateway) -> None:
    await open_two(gateway, floor_minor=0, ceiling_minor=100)
    batch = [
        line(60),
        line(61, "savings", "funding"),
        line(5, credit="nowhere"),
        line(41),
        line(1) | {"effective_at": "2999-01-01T00:00:00Z"},
        line(20, "savings", "funding") | {"pending": True, "expires_after_s": 60},
        line(41, "savings", "funding"),
    ]
    reply = await gateway.post(PATH, {"linked": False, "transfers": batch})
    assert (reply.status, reply.body["done"], reply.body["refused"]) == (200, 2, 5)
    assert told(reply.body) == [
        "done",
        "insufficient-funds",
        "unknown-account",
        "above-ceiling",
        "invalid-effective-at",
        "done",
        "insufficient-funds",  # the hold before it counts
    ]
    found = await balance(gateway)
    assert (found["posted_minor"], found["held_minor"]) == (60, 20)
    held = reply.body["results"][5]["transfer"]["hold"]["id"]
    assert (await gateway.post(f"/v1/ledger/holds/{held}/post")).status == 201
    assert (await gateway.verification())["balanced"]


async def test_a_batch_that_is_sent_again_moves_nothing_and_tells_the_same(gateway: RunningGateway) -> None:
    await open_two(gateway, floor_minor=0)
    batch = {"linked": False, "transfers": [line(10), line(11, "savings", "funding")]}
    first = await gateway.post(PATH, batch, key="a-batch")
    rows = await gateway.rows()
    await gateway.post(PATH, line(500))  # what was refused would fit by now
    again = await gateway.post(PATH, batch, key="a-batch")
    assert (again.status, again.raw) == (first.status, first.raw)
    assert (await gateway.rows())["transfer"] == rows["transfer"] + 1
    other = await gateway.post(PATH, {"linked": False, "transfers": [line(10)]}, key="a-batch")
    assert (other.status, other.problem) == (422, "idempotency-key-reuse")


async def test_a_batch_of_which_nothing_is_done_writes_its_answer_alone(gateway: RunningGateway) -> None:
    await open_two(gateway)
    rows = await gateway.rows()
    reply = await gateway.post(PATH, {"linked": False, "transfers": [line(1, "a", "b"), line(1, "c", "d")]})
    assert told(reply.body) == ["unknown-account", "unknown-account"]
    assert await gateway.rows() == rows | {"idempotency_key": rows["idempotency_key"] + 1}
