"""The second line: what Postgres itself refuses, should the code believe otherwise. Green with the code's guard removed
(`make mutants` does that), red without the constraint as well.
"""

from __future__ import annotations

import asyncio

from gateway_rig import RunningGateway
from sqlalchemy import text
from witnesses import charged_and_refunded

from payment_gateway.domain.ledger import AccountName
from payment_gateway.store import ledger


async def test_no_refund_at_once_gets_past_the_capture_whatever_the_code_believes(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """However they are answered, no more is reserved for refunds, and given back, than was captured."""
    payment_id = await gateway.captured(10_000)
    path = f"/v1/payments/{payment_id}/refunds"
    await asyncio.gather(*(g.post(path, {"amount_minor": 4_000}) for g in (gateway, twin) * 4))
    assert (await gateway.payment(payment_id))["refunded_minor"] == 8_000
    rows = await gateway.rows()
    assert rows["refund"] == 2, "no other one was ever taken down"
    assert await charged_and_refunded(gateway) == (10_000, 8_000)


async def test_no_account_falls_below_its_floor_whatever_the_code_believes(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """However they are answered, an account with a floor pays no more than down to it."""
    for name, floor in (("purse", -100), ("shop", None)):
        await gateway.post("/v1/ledger/accounts", {"name": name, "currency": "EUR", "floor_minor": floor})
    body = {"debit_account": "purse", "credit_account": "shop", "amount_minor": 40, "currency": "EUR"}
    for _ in range(3):
        await asyncio.gather(*(g.post("/v1/ledger/transfers", body) for g in (gateway, twin)))
    accounts = (await gateway.call("GET", "/v1/ledger/accounts")).body["data"]
    (purse,) = [a for a in accounts if a["name"] == "purse"]
    assert purse["available_minor"] == -80
    assert (await gateway.verification())["balanced"]


async def test_accounts_are_locked_in_one_order_whoever_asks(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Two flushes that name the same accounts the other way round wait for each other in a line, not in a circle: who
    waits for the first account does not hold the second."""
    names = [AccountName("ledger:order", kind, "EUR") for kind in ("first", "second")]
    async with gateway.deps.engine.begin() as connection:
        for name in names:
            await ledger.open_account(connection, name, None)
    lock_second = text("SELECT 1 FROM payments.account WHERE kind = 'second' FOR UPDATE NOWAIT")
    async with gateway.deps.engine.begin() as holder, twin.deps.engine.connect() as waiter:
        await ledger.lock(holder, names[:1])
        waiting = asyncio.create_task(ledger.lock(waiter, names[::-1]))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await holder.execute(lock_second)
        await holder.rollback()
        assert set(await waiting) == set(names)


async def test_a_counter_on_both_sides_that_no_transfer_explains_is_found(gateway: RunningGateway) -> None:
    """Sums of debits and credits agree, and yet money was made up."""
    await gateway.captured(10_000)
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE payments.account SET debits_posted = debits_posted + 7 * (kind = 'receivable')::int,"
                " credits_posted = credits_posted + 7 * (kind = 'pending')::int"
            )
        )
    found = await gateway.verification()
    assert (found["balanced"], len(found["differences"])) == (False, 2)
