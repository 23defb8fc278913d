"""A repetition that comes while the first request is at work: refused at once, or answered a little later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_rig import Reply, RunningGateway, a_sale, run_gateway
from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.api.patience import answered_later, wait_of
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.idempotency import KeyInProgress
from platform_kit.rate_limits import RateLimited


@pytest.fixture
async def gateway(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with patient(fresh_database, tmp_path) as running:
        yield running


@asynccontextmanager
async def patient(
    fresh_database: FreshDatabase, tmp_path: Path, **changes: Any
) -> AsyncIterator[RunningGateway]:
    """Its channel is given up on after four seconds: so long a key of `tok_timeout` is at work."""
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path / "journals", channel_timeout_s=4, **changes) as running:
        yield running


async def at_work(gateway: RunningGateway) -> asyncio.Task[Reply]:
    """A payment that its channel does not answer, as soon as its key is taken."""
    first = asyncio.create_task(gateway.pay("tok_timeout", key="k"))
    for _ in range(1500):
        if (await gateway.rows())["idempotency_key"]:
            return first
        await asyncio.sleep(0.02)
    raise AssertionError("the key was not taken")


async def again(gateway: RunningGateway, prefer: str | None = None) -> Reply:
    headers = {"Prefer": prefer} if prefer else {}
    return await gateway.post("/v1/payments", a_sale("tok_timeout"), key="k", headers=headers)


async def test_a_client_that_prefers_to_wait_gets_the_first_ones_answer(gateway: RunningGateway) -> None:
    first = await at_work(gateway)
    refused = await again(gateway)
    assert (refused.status, refused.problem) == (409, "idempotency-in-progress")
    assert refused.headers["Retry-After"] == "1"
    waited = await again(gateway, "respond-async, wait=10")
    assert (waited.status, waited.body["status"], waited.body["id"]) == (
        202,
        "unknown",
        (await first).body["id"],
    )
    assert waited.headers["Idempotent-Replayed"] == "true"
    assert waited.headers["Preference-Applied"] == "wait=10"
    assert len(await gateway.simulators.journal()) == 1


async def test_who_waits_in_vain_is_refused_as_without_waiting(gateway: RunningGateway) -> None:
    first = await at_work(gateway)
    begun = time.monotonic()
    refused = await again(gateway, "wait=1")
    assert (refused.status, refused.problem) == (409, "idempotency-in-progress")
    assert time.monotonic() - begun >= 1
    assert (await first).status == 202


async def test_a_deployment_may_wait_for_everybody(fresh_database: FreshDatabase, tmp_path: Path) -> None:
    async with patient(fresh_database, tmp_path, idempotency_wait_s=10) as gateway:
        first = await at_work(gateway)
        refused = await again(gateway, "wait=0")
        assert refused.problem == "idempotency-in-progress", (
            "the client's own word goes before the deployment's"
        )
        waited = await again(gateway)
        assert (waited.status, waited.body["id"]) == (202, (await first).body["id"])
        assert "Preference-Applied" not in waited.headers


async def test_a_look_that_comes_too_often_is_not_what_who_waits_is_told() -> None:
    request = Request({"type": "http", "headers": [(b"prefer", b"wait=1")]})
    answers: list[Exception] = [RateLimited(), KeyInProgress(), RateLimited()]

    async def handle(_: Request) -> Response:
        if answers:
            raise answers.pop(0)
        return Response(b"done")

    assert (await answered_later(request, handle, KeyInProgress())).body == b"done"

    async def never(_: Request) -> Response:
        raise RateLimited()

    with pytest.raises(KeyInProgress):
        await answered_later(request, never, KeyInProgress())


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ([], None),
        (["respond-async"], None),
        (["wait=2"], 2.0),
        (["return=minimal, Wait = 3; foo"], 3.0),
        (["respond-async", "wait=1"], 1.0),
        (["wait=86400"], 10.0),
        (["wait=-1"], None),
        (["wait=1.5"], None),
        (["wait=٣"], None),
        (["wait=" + "9" * 5000], None),
    ],
)
def test_what_is_not_a_wait_is_not_taken_for_one(headers: list[str], wait_s: float | None) -> None:
    raw = [(b"prefer", header.encode("utf-8")) for header in headers]
    assert wait_of(Request({"type": "http", "headers": raw})) == wait_s
