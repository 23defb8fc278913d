"""What a key may send, what one who guesses keys may send, and what both are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway_rig import ADMIN, RunningGateway, run_gateway
from prometheus_client import REGISTRY

from platform_cli.embedded.testing import FreshDatabase

pytestmark = pytest.mark.timing  # a bucket that fills by the second: who is slow is refused less often


def at_the_admin_door() -> float:
    return REGISTRY.get_sample_value("auth_failures_total", {"door": "admin"}) or 0.0


@pytest.fixture
async def limited(
    fresh_database: FreshDatabase, clean_redis_url: str, tmp_path: Path
) -> AsyncIterator[RunningGateway]:
    """A gateway that takes two reads and two writes a second, four at once, and ten wrong keys."""
    async with run_gateway(
        await fresh_database("payments"),
        tmp_path / "journals",
        redis_url=clean_redis_url,
        rate_limit_reads_per_s=2,
        rate_limit_writes_per_s=2,
        auth_failures_per_s=0.01,
        auth_failures_burst=10,
    ) as running:
        yield running


async def test_a_key_over_its_limit_is_refused_and_nothing_is_written(limited: RunningGateway) -> None:
    replies = await asyncio.gather(*[limited.pay() for _ in range(9)])
    refused = [reply for reply in replies if reply.status == 429]
    assert 4 <= len(refused) <= 5
    assert {reply.problem for reply in refused} == {"rate-limited"}
    assert {reply.headers["Retry-After"] for reply in refused} == {"1"}
    rows = await limited.rows()
    assert rows["payment"] == rows["idempotency_key"] == len(replies) - len(refused)


async def test_a_refused_request_passes_later_under_its_own_key(limited: RunningGateway) -> None:
    replies = await asyncio.gather(*[limited.pay(key=f"later-{number}") for number in range(12)])
    refused = next(number for number, reply in enumerate(replies) if reply.status == 429)
    await asyncio.sleep(0.6)
    passed = await limited.pay(key=f"later-{refused}")
    assert (passed.status, passed.headers.get("Idempotent-Replayed")) == (201, None)


async def test_answers_say_what_the_key_may_send_and_what_is_left(limited: RunningGateway) -> None:
    reply = await limited.call("GET", "/v1/payments")
    assert reply.headers["RateLimit-Policy"] == '"read";q=4;w=2'
    assert reply.headers["RateLimit"] == '"read";r=3;t=1'
    refusal = await limited.call("GET", "/v1/payments/pay_00000000000000000000000000")
    assert refusal.status == 404
    assert refusal.headers["RateLimit"].startswith('"read";r=2;')


async def test_reads_writes_and_other_keys_are_counted_apart(limited: RunningGateway) -> None:
    _, other = await limited.new_merchant()
    paid = await asyncio.gather(*[limited.pay() for _ in range(6)])
    assert 429 in {reply.status for reply in paid}, "whichever came last"
    assert (await limited.call("GET", "/v1/payments")).status == 200
    assert (await limited.call("GET", "/v1/payments", token=other)).status == 200


async def test_ten_transfers_of_a_batch_weigh_as_much_as_a_request(limited: RunningGateway) -> None:
    """Four tokens at once: a hundred transfers want ten."""
    line = {"debit_account": "world", "credit_account": "till", "amount_minor": 1, "currency": "EUR"}
    for linked in (True, False):
        batch = {"linked": linked, "transfers": [line] * 100}
        refused = await limited.post("/v1/ledger/transfers", batch)
        assert (refused.status, refused.problem) == (429, "rate-limited")
        await asyncio.sleep(2)
    assert (await limited.rows())["transfer"] == 0
    small = await limited.post("/v1/ledger/transfers", {"linked": False, "transfers": [line] * 10})
    assert small.status == 200, "ten weigh no more than one"


async def test_stripes_clients_are_told_in_their_shape(limited: RunningGateway) -> None:
    replies = [await limited.call("GET", "/stripe/v1/charges") for _ in range(6)]
    assert replies[-1].status == 429
    assert replies[-1].body["error"]["type"] == "invalid_request_error"
    assert replies[-1].headers["RateLimit-Policy"] == '"read";q=4;w=2'


async def test_one_who_guesses_keys_is_refused_unread_and_known_keys_work_on(limited: RunningGateway) -> None:
    assert (await limited.call("GET", "/v1/payments")).status == 200
    statuses = [
        (await limited.call("GET", "/v1/payments", token=f"sk_test_guess{number}")).status
        for number in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2
    assert (await limited.call("GET", "/v1/balance")).status == 200
    assert (await limited.call("GET", "/v1/ledger/verification", token=ADMIN)).status == 200
    before = at_the_admin_door()
    assert (await limited.call("GET", "/v1/ledger/verification", token="guess")).status == 429
    assert at_the_admin_door() == before + 1, "an alert can see who guesses the administrator's key"


async def test_without_redis_a_process_grants_its_share_and_not_more(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    async with run_gateway(
        await fresh_database("payments"),
        tmp_path / "journals",
        rate_limit_reads_per_s=10,
        rate_limit_local_share=0.25,
    ) as alone:
        replies = await asyncio.gather(*[alone.call("GET", "/v1/payments") for _ in range(20)])
        assert 5 <= sum(reply.status == 200 for reply in replies) <= 8
