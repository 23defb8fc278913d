"""Webhooks of all merchants at the platform's own door: how they go, and sending again in an operator's name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from gateway_rig import ADMIN, RunningGateway
from simulator_rig import TOKEN
from sqlalchemy import text

from payment_gateway.store.tables import outbox
from platform_cli.embedded.event_witness import INVENTED
from platform_kit.ids import new_id
from platform_kit.outbox import Event, Relay, append

ENDPOINTS, DELIVERIES = "/internal/webhook-endpoints", "/internal/webhook-deliveries"
ADA = {"Acting-For": "ada"}


async def an_endpoint(gateway: RunningGateway) -> str:
    made = await gateway.post("/v1/webhook-endpoints", {"url": "http://127.0.0.1:9/hook"})
    return str(made.body["id"])


async def deliveries(gateway: RunningGateway, endpoint: str, statuses: list[str]) -> list[str]:
    """One delivery with each of these statuses, each tried once unless it waits; the events' ids."""
    made = [
        Event(
            id=new_id("evt"),
            type="payment.captured.v1",
            aggregate_id=new_id("pay"),
            data=INVENTED,
            merchant_id=gateway.merchant_id,
            occurred_at=datetime.now(UTC),
        )
        for _ in statuses
    ]
    async with gateway.deps.engine.begin() as conn:
        await append(conn, outbox, made)
        for event, status in zip(made, statuses, strict=True):
            is_due = status == "due"
            values = {
                "id": new_id("dlv"),
                "endpoint": endpoint,
                "event": event.id,
                "status": status,
                "attempts": 0 if is_due else 1,
                "due_at": datetime.now(UTC) + timedelta(hours=1) if is_due else None,
            }
            await conn.execute(
                text("""
                    INSERT INTO payments.webhook_delivery (id, endpoint_id, event_id, status, attempts, due_at)
                    VALUES (:id, :endpoint, :event, :status, :attempts, CAST(:due_at AS timestamptz))"""),
                values,
            )
    await Relay(gateway.deps.engine, outbox, None, "unused").assign()  # type: ignore[arg-type]
    return [event.id for event in made]


async def asked(gateway: RunningGateway, path: str) -> Any:
    reply = await gateway.call("GET", path, token=TOKEN)
    assert reply.status == 200, reply.raw
    return reply.body


async def replay(gateway: RunningGateway, endpoint: str, event: str, **options: Any) -> Any:
    options = {"token": TOKEN, "headers": ADA} | options
    return await gateway.post(f"{DELIVERIES}/replay?endpoint_id={endpoint}", {"event_id": event}, **options)


async def test_endpoints_of_all_merchants_say_how_their_deliveries_go(gateway: RunningGateway) -> None:
    quiet, busy = await an_endpoint(gateway), await an_endpoint(gateway)
    await deliveries(gateway, busy, ["delivered", "dead", "delivered", "delivered", "due"])
    page = await asked(gateway, ENDPOINTS)
    assert [one["id"] for one in page["data"]] == [quiet, busy]
    shown = page["data"][1]
    assert (shown["recent"]["delivered"], shown["recent"]["dead"]) == (3, 1)
    assert shown["recent"]["success_rate"] == 0.75, "what waits for its first attempt has not failed"
    assert (shown["waiting"]["due"], shown["waiting"]["is_at_least"]) == (1, False)
    assert shown["waiting"]["oldest_due_at"] is not None
    assert page["data"][0]["recent"]["success_rate"] is None
    assert "secret" not in shown
    assert await asked(gateway, f"{ENDPOINTS}/{busy}") == shown
    assert (await gateway.call("GET", f"{ENDPOINTS}/we_x", token=TOKEN)).status == 404
    first = await asked(gateway, f"{ENDPOINTS}?limit=1")
    rest = await asked(gateway, f"{ENDPOINTS}?limit=1&after={first['next_after']}")
    assert [one["id"] for one in first["data"] + rest["data"]] == [quiet, busy]


async def test_an_operator_sends_again_and_stands_in_the_audit_log(gateway: RunningGateway) -> None:
    endpoint = await an_endpoint(gateway)
    [event, _] = await deliveries(gateway, endpoint, ["dead", "delivered"])
    sent = await replay(gateway, endpoint, event, key="once")
    assert (sent.status, sent.body["deliveries"]) == (202, 1)
    again = await replay(gateway, endpoint, event, key="once")
    assert again.body == sent.body
    [due] = (await asked(gateway, f"{DELIVERIES}?endpoint_id={endpoint}&status=due"))["data"]
    assert (due["event_id"], due["cycle"]) == (event, 2)

    async def entries(path: str, token: str | None) -> list[Any]:
        found = (await gateway.call("GET", f"{path}?action=webhook_endpoint.replayed", token=token)).body
        return [(one["actor"], one["object_id"], one["details"]["event_id"]) for one in found["data"]]

    assert await entries("/v1/admin/audit-log", ADMIN) == [
        ({"type": "operator", "id": "ada"}, endpoint, event)
    ]
    assert await entries("/v1/audit-log", None) == [({"type": "operator", "id": None}, endpoint, event)]


@pytest.mark.parametrize("name", ["", "Ada B", "ada\tadmin", "-"])
async def test_nobody_sends_again_without_a_name(gateway: RunningGateway, name: str) -> None:
    endpoint = await an_endpoint(gateway)
    [event] = await deliveries(gateway, endpoint, ["dead"])
    refused = await replay(gateway, endpoint, event, headers={"Acting-For": name} if name else {})
    assert (refused.status, refused.problem) == (403, "nobody-named")
    assert (await asked(gateway, f"{DELIVERIES}?endpoint_id={endpoint}"))["data"][0]["status"] == "dead"


async def test_the_door_is_shut_for_merchants(gateway: RunningGateway) -> None:
    endpoint = await an_endpoint(gateway)
    [event] = await deliveries(gateway, endpoint, ["dead"])
    for path in (ENDPOINTS, f"{ENDPOINTS}/{endpoint}", f"{DELIVERIES}?endpoint_id={endpoint}"):
        assert (await gateway.call("GET", path)).status == 401
    assert (await replay(gateway, endpoint, event, token=gateway.key)).status == 401


async def test_an_endpoint_hears_of_its_own_merchant_s_events_alone(gateway: RunningGateway) -> None:
    endpoint = await an_endpoint(gateway)
    refused = await replay(gateway, endpoint, new_id("evt"))
    assert (refused.status, refused.problem) == (404, "not-found")
