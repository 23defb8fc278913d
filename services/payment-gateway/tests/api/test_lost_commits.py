"""A COMMIT whose answer is lost is unknown, never failed: each commit of each operation, lost once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from gateway_rig import RunningGateway

from platform_kit import committer as group_commit


def lose_the_answer_of_commit(gateway: RunningGateway, number: int) -> list[int]:
    """Let the flush with this number (from 1) commit, and its answer never arrive."""
    committer: Any = gateway.deps.committer
    flush_once = committer._flush_once
    flushed: list[int] = []

    async def flush(own: Any, items: Sequence[Any]) -> Any:
        results = await flush_once(own, items)
        flushed.append(len(items))
        if len(flushed) == number:
            raise group_commit.CommitLost from ConnectionResetError()
        return results

    committer._flush_once = flush
    return flushed


@pytest.mark.parametrize("number", [1, 2])
async def test_a_payment_whose_commit_was_lost_is_charged_once_and_answered_as_if_nothing_had_been(
    gateway: RunningGateway, number: int
) -> None:
    flushed = lose_the_answer_of_commit(gateway, number)
    reply = await gateway.pay(key="k")
    assert (reply.status, reply.body["status"]) == (201, "captured")
    assert "Idempotent-Replayed" not in reply.headers
    assert len(flushed) == 3, "two commits, one of them twice"
    again = await gateway.pay(key="k")
    assert again.raw == reply.raw
    rows = await gateway.rows()
    assert (rows["payment"], rows["attempt"], rows["transfer"], rows["outbox_event"]) == (1, 1, 1, 2)
    assert len(await gateway.simulators.journal()) == 1
    assert (await gateway.verification())["balanced"]


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(("act", "status"), [("capture", 200), ("void", 200), ("refunds", 201)])
async def test_an_act_whose_commit_was_lost_is_done_once(
    gateway: RunningGateway, act: str, status: int, number: int
) -> None:
    payment_id = await (gateway.captured() if act == "refunds" else gateway.hold())
    before = await gateway.rows()
    flushed = lose_the_answer_of_commit(gateway, number)
    reply = await gateway.post(f"/v1/payments/{payment_id}/{act}", key="k")
    assert reply.status == status, reply.raw
    assert len(flushed) == 3
    assert (await gateway.post(f"/v1/payments/{payment_id}/{act}", key="k")).raw == reply.raw
    after = await gateway.rows()
    assert after["transfer"] == before["transfer"] + 1
    assert after["attempt"] == before["attempt"] + 1
    assert (await gateway.verification())["balanced"]


async def test_a_transfer_whose_commit_was_lost_moves_money_once(gateway: RunningGateway) -> None:
    for name in ("a", "b"):
        await gateway.post("/v1/ledger/accounts", {"name": name, "currency": "EUR"})
    lose_the_answer_of_commit(gateway, 1)
    body = {"debit_account": "a", "credit_account": "b", "amount_minor": 5, "currency": "EUR"}
    reply = await gateway.post("/v1/ledger/transfers", body, key="k")
    assert reply.status == 201
    assert "Idempotent-Replayed" not in reply.headers
    assert (await gateway.rows())["transfer"] == 1
