"""Two replicas settle one hold, or take back one journal, at the same moment: one of them does it, in either order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from gateway_rig import RunningGateway
from sqlalchemy import text
from witnesses import charged_and_refunded, until_queued

from payment_gateway.operations.expire_holds import expire_holds
from payment_gateway.operations.settle_ledger_holds import expire_ledger_holds

LINE = {"debit_account": "funding", "credit_account": "savings", "amount_minor": 100, "currency": "EUR"}
ROUNDS = 4  # of each order, queued; as many again side by side, where the clock decides

LOCK_HOLD = "SELECT 1 FROM payments.hold WHERE id = :id FOR UPDATE"
LOCK_REVERSAL = "SELECT pg_advisory_xact_lock(hashtextextended('reverse ' || :id, 0))"

Act = Callable[[], Awaitable[Any]]


@asynccontextmanager
async def held_up(gateway: RunningGateway, lock: str, object_id: str) -> AsyncIterator[Callable[[int], Any]]:
    """Nobody gets `lock` meanwhile; waits on request until so many connections stand in its queue."""
    async with gateway.deps.engine.connect() as connection, gateway.deps.engine.connect() as watcher:
        await connection.execute(text(lock), {"id": object_id})
        yield partial(until_queued, watcher)
        await connection.rollback()


async def one_behind_the_other(
    gateway: RunningGateway, lock: str, object_id: str, first: Act, second: Act
) -> tuple[Any, Any]:
    """Both have begun, each on its own connection, and wait for the same row: `first` gets it first."""
    async with held_up(gateway, lock, object_id) as queue_of:
        one = asyncio.ensure_future(first())
        await queue_of(1)
        other = asyncio.ensure_future(second())
        await queue_of(2)
    return await one, await other


async def open_accounts(gateway: RunningGateway) -> None:
    for name in ("funding", "savings"):
        assert (await gateway.post("/v1/ledger/accounts", {"name": name, "currency": "EUR"})).status == 201


async def hold_of(gateway: RunningGateway, expires_in_ms: int) -> str:
    reply = await gateway.post("/v1/ledger/transfers", LINE | {"pending": True, "expires_after_s": 600})
    hold_id = str(reply.body["hold"]["id"])
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(
            text("UPDATE payments.hold SET expires_at = clock_timestamp() + make_interval(secs => :s) WHERE id = :id"),
            {"s": expires_in_ms / 1000, "id": hold_id},
        )  # fmt: skip
    return hold_id


async def books_fit(gateway: RunningGateway, posted_minor: int) -> None:
    """What was posted is there, nothing is set aside any more, and the rows say the same."""
    for name, sign in (("savings", 1), ("funding", -1)):
        path = f"/v1/ledger/accounts/{name}/balance?currency=EUR"
        found = (await gateway.call("GET", path)).body
        assert (found["posted_minor"], found["held_minor"]) == (sign * posted_minor, 0)
    listed = (await gateway.call("GET", "/v1/ledger/accounts")).body["data"]
    assert {one["debits_pending_minor"] + one["credits_pending_minor"] for one in listed} == {0}
    assert (await gateway.verification())["balanced"]


@pytest.mark.timing  # the act must have begun before the hold's time is over
@pytest.mark.parametrize("act", ["post", "void"])
@pytest.mark.parametrize("act_is_first", [True, False])
async def test_a_hold_is_settled_or_expires_whichever_gets_it_first(
    gateway: RunningGateway, twin: RunningGateway, act: str, act_is_first: bool
) -> None:
    """The request began while the hold had time left; the job came after that. Both wait for the same row."""
    await open_accounts(gateway)
    wins = 0
    for _ in range(ROUNDS):
        # A post that comes second began too late, which the clock alone refuses; a void may come at any time.
        hold_id = await hold_of(gateway, 300 if act_is_first else 0)

        async def settle(hold_id: str = hold_id) -> Any:
            return await gateway.post(f"/v1/ledger/holds/{hold_id}/{act}")

        async with held_up(gateway, LOCK_HOLD, hold_id) as queue_of:
            if act_is_first:
                reply_of = asyncio.create_task(settle())
                await queue_of(1)
                await asyncio.sleep(0.31)
                expired_of = asyncio.create_task(expire_ledger_holds(twin.deps))
            else:
                expired_of = asyncio.create_task(expire_ledger_holds(twin.deps))
                await queue_of(1)
                reply_of = asyncio.create_task(settle())
            await queue_of(2)
        reply, expired = await reply_of, await expired_of
        if act_is_first:
            assert (reply.status, expired) == (201, 0), reply.raw
            wins += act == "post"
        else:
            assert (reply.status, reply.problem, expired) == (409, "hold-closed", 1)
            assert reply.body["state"] == "expired"
    await books_fit(gateway, 100 * wins)


@pytest.mark.parametrize("act", ["post", "void"])
async def test_a_hold_that_is_settled_in_the_moment_it_expires_ends_one_way(
    gateway: RunningGateway, twin: RunningGateway, act: str
) -> None:
    """Side by side, a few milliseconds around the end of its time: a clear answer, and it moves what it says."""
    await open_accounts(gateway)
    posted = 0
    for expires_in_ms in (-2, 0, 2, 4, 6, 8, 10, 14, 20, 40):
        hold_id = await hold_of(gateway, expires_in_ms)
        reply, *expired = await asyncio.gather(
            gateway.post(f"/v1/ledger/holds/{hold_id}/{act}"),
            *(expire_ledger_holds(g.deps) for g in (twin, gateway, twin)),
        )
        await asyncio.sleep(0.05)
        expired.append(await expire_ledger_holds(twin.deps))
        state = (await twin.call("GET", f"/v1/ledger/holds/{hold_id}")).body["state"]
        if reply.status == 201:
            assert (state, sum(expired)) == (f"{act}ed", 0)
            posted += act == "post"
        else:
            assert (reply.problem, reply.body["state"], state, sum(expired)) == (
                "hold-closed", "expired", "expired", 1,
            )  # fmt: skip
    await books_fit(gateway, 100 * posted)


@pytest.mark.parametrize("twin_is_first", [True, False])
async def test_a_journal_that_two_replicas_reverse_is_reversed_by_the_first(
    gateway: RunningGateway, twin: RunningGateway, twin_is_first: bool
) -> None:
    await open_accounts(gateway)
    order = (twin, gateway) if twin_is_first else (gateway, twin)
    for _ in range(ROUNDS):
        moved = (await gateway.post("/v1/ledger/transfers", LINE)).body["id"]

        def reverse(replica: RunningGateway, moved: str = moved) -> Act:
            return lambda: replica.post(f"/v1/ledger/journals/{moved}/reverse", {"reason": "wrong"})

        won, lost = await one_behind_the_other(gateway, LOCK_REVERSAL, moved, *map(reverse, order))
        assert (won.status, lost.status, lost.problem) == (201, 409, "already-reversed")
        assert lost.body["reversed_by"] == won.body["id"]
    await books_fit(gateway, 0)


async def test_a_capture_in_the_moment_its_hold_expires_takes_all_or_nothing(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """One replica captures, the other's job gives the hold up: the payment, the channel and the ledger say the same."""
    for n in range(8):
        before, _ = await charged_and_refunded(gateway)
        payment_id = await gateway.hold(1_000)
        async with gateway.deps.engine.begin() as connection:
            await connection.execute(
                text(
                    "UPDATE payments.payment SET created_at = created_at - interval '30 days' WHERE id = :id"
                ),
                {"id": payment_id},
            )

        async def capture(payment_id: str = payment_id, delay_s: float = 0.004 * (n % 2)) -> Any:
            await asyncio.sleep(delay_s)
            return await gateway.post(f"/v1/payments/{payment_id}/capture")

        reply, expired = await asyncio.gather(capture(), expire_holds(twin.deps))
        status = await twin.status(payment_id)
        after, _ = await charged_and_refunded(gateway)
        if reply.status == 200:
            assert (status, expired, after - before) == ("captured", 0, 1_000)
        else:
            assert (reply.status, status, expired, after - before) == (409, "expired", 1, 0), reply.raw
    found = await gateway.verification()
    assert found["balanced"], found
    assert {one["debits_pending_minor"] for one in found["currencies"]} == {0}
