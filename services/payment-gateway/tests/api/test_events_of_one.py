"""The story of one object: its events by `aggregate_id`, found by an index, and nobody else's."""

from __future__ import annotations

from gateway_rig import RunningGateway
from redis.asyncio import Redis
from sqlalchemy import text

from payment_gateway.store.events import OLDEST_FIRST, EventFilter, asked
from payment_gateway.store.tables import outbox
from platform_kit.outbox import Relay


async def test_the_events_of_a_payment_are_told_alone_and_to_its_merchant_alone(
    gateway: RunningGateway,
) -> None:
    first, other = await gateway.captured(500), await gateway.captured(600)
    await gateway.post(f"/v1/payments/{first}/refunds", {"amount_minor": 100})
    nowhere: Redis = Redis(port=9)
    await Relay(gateway.deps.engine, outbox, nowhere, "unused").assign()

    async def story(query: str) -> list[str]:
        reply = await gateway.call("GET", f"/v1/events?aggregate_id={query}")
        assert reply.status == 200, reply.raw
        return [event["type"] for event in reply.body["data"]]

    told = await story(first)
    assert told == [
        "payment.created.v1", "payment.captured.v1", "refund.created.v1", "refund.succeeded.v1",
    ]  # fmt: skip
    assert await story(f"{first}&order=desc") == told[::-1]
    assert await story(f"{first}&type=refund.*") == told[2:]
    assert len(await story(other)) == 2
    _, gateway.key = await gateway.new_merchant()
    assert await story(first) == []


async def test_a_story_is_found_by_its_index_whatever_else_happened(gateway: RunningGateway) -> None:
    async with gateway.deps.engine.connect() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        where = EventFilter(aggregate_id="pay_x")
        values = await asked(connection, gateway.merchant_id, where=where, limit=100)
        plan = await connection.execute(text(f"EXPLAIN {OLDEST_FIRST.text}"), values)
        lines = [row[0] for row in plan]
    assert any("event_by_aggregate_idx" in line for line in lines), lines
