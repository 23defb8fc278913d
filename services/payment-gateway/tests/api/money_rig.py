"""What the tests of disputes, balances and payouts share."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from gateway_rig import ADMIN, RunningGateway
from simulator_rig import TOKEN
from sqlalchemy import text

from payment_gateway.domain.ledger import Journal, Posting, channel_receivable
from payment_gateway.domain.postings import merchant_account
from payment_gateway.domain.terms import Terms
from payment_gateway.operations.mark_and_ask import first_attempt_id
from payment_gateway.operations.settle_captures import settle_captures
from payment_gateway.store import terms
from payment_gateway.store.commit import Commit, Done, Effects
from platform_kit.ids import new_id


async def operate(gateway: RunningGateway, **body: Any) -> dict[str, Any]:
    """Act as the operator of the card channel: open or decide a dispute."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"{gateway.simulators.url}/disputes"
    async with gateway.session.post(url, data=orjson.dumps(body), headers=headers) as response:
        assert response.status in (200, 201), await response.text()
        answer: dict[str, Any] = orjson.loads(await response.read())
        return answer


async def ready(gateway: RunningGateway, payment_id: str) -> str:
    """The channel's key of a payment's authorisation."""
    return first_attempt_id(payment_id)


async def disputed(gateway: RunningGateway, payment_id: str) -> dict[str, Any]:
    """The dispute of a payment, as soon as the channel has reported it."""
    for _ in range(1500):
        reply = await gateway.call("GET", f"/v1/disputes?payment_id={payment_id}")
        if reply.body["data"]:
            found: dict[str, Any] = reply.body["data"][0]
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("the channel did not report a dispute")


async def until(gateway: RunningGateway, dispute_id: str, status: str) -> dict[str, Any]:
    """The dispute once it has `status`."""
    for _ in range(1500):
        reply = await gateway.call("GET", f"/v1/disputes/{dispute_id}")
        if reply.body["status"] == status:
            return reply.body
        await asyncio.sleep(0.02)
    raise AssertionError(f"the dispute is {reply.body['status']}")


async def settled(gateway: RunningGateway, statement: str, *, admin: bool = False, **values: Any) -> Any:
    """One statement on the gateway's database."""
    async with gateway.deps.engine.begin() as connection:
        result = await connection.execute(text(statement), values)
        return None if admin else result.scalar_one_or_none()


async def set_terms(gateway: RunningGateway, **terms: Any) -> None:
    path = f"/v1/merchants/{gateway.merchant_id}/terms"
    reply = await gateway.call("PUT", path, token=ADMIN, raw=orjson.dumps(terms))
    assert reply.status == 200, reply.raw


async def funded(gateway: RunningGateway, amount_minor: int = 10_000, **terms: Any) -> None:
    """The merchant has this much available."""
    await set_terms(gateway, settlement_delay_days=0, **terms)
    await gateway.captured(amount_minor)
    assert await settle_captures(gateway.deps) == 1


async def balance(gateway: RunningGateway) -> dict[str, int]:
    """The balances in EUR."""
    (found,) = (await gateway.call("GET", "/v1/balance")).body["balances"]
    kinds = ("available", "pending", "reserve", "disputed", "payouts_in_transit")
    return {kind: found[f"{kind}_minor"] for kind in kinds}


async def with_balance_of(
    gateway: RunningGateway,
    merchant_id: str,
    currency: str,
    *,
    wanted: str | None = None,
    destination: str | None = None,
    amount_minor: int = 500,
) -> None:
    """Another merchant that has so many minor units (more) available."""
    merchant = (
        "INSERT INTO payments.merchant (id, name, country) VALUES (:id, 'other', 'DE') ON CONFLICT DO NOTHING"
    )
    named = {"id": merchant_id}
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text(merchant), named)
        await terms.put(connection, merchant_id, Terms(0, destination, None, wanted))
    accounts = (
        channel_receivable("card_sim", currency),
        merchant_account(merchant_id, "available", currency),
    )
    postings = (Posting(*accounts, amount_minor),)
    commit = Commit(lambda _: Effects(journal=Journal(new_id("je"), None, postings)), accounts=accounts)
    assert isinstance(await gateway.deps.committer.submit(commit), Done)
