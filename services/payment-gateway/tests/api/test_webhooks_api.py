"""Webhooks and events over HTTP: what a merchant's program meets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from gateway_rig import RunningGateway, run_gateway
from sqlalchemy import text

from payment_gateway.store.tables import outbox
from platform_cli.embedded.event_witness import INVENTED
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.ids import new_id
from platform_kit.outbox import Event, Relay, append

HOOK = {"url": "http://127.0.0.1:9/hook", "event_types": ["payment.*"], "metadata": {"shop": "7"}}
T0 = datetime(2026, 11, 1, tzinfo=UTC)


async def an_endpoint(gateway: RunningGateway) -> dict[str, Any]:
    reply = await gateway.post("/v1/webhook-endpoints", HOOK)
    assert reply.status == 201, reply.raw
    return reply.body


async def events(gateway: RunningGateway, types: list[str]) -> list[str]:
    """One event of each of these types, a minute apart from T0 on, numbered."""
    made = [
        Event(
            id=new_id("evt"), type=kind, aggregate_id=new_id("pay"), data=INVENTED, merchant_id=gateway.merchant_id,
            occurred_at=T0 + timedelta(minutes=number),
        )
        for number, kind in enumerate(types)
    ]  # fmt: skip
    async with gateway.deps.engine.begin() as connection:
        await append(connection, outbox, made)
    await Relay(gateway.deps.engine, outbox, None, "unused").assign()  # type: ignore[arg-type]
    return [event.id for event in made]


async def test_an_endpoint_lives_from_post_to_delete(gateway: RunningGateway) -> None:
    made = await an_endpoint(gateway)
    path = f"/v1/webhook-endpoints/{made['id']}"
    shown = (await gateway.call("GET", path)).body
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert (shown["event_types"], shown["metadata"]) == (["payment.*"], {"shop": "7"})

    changed = await gateway.call("PATCH", path, raw=b'{"event_types": null, "enabled": false}')
    assert changed.status == 200, changed.raw
    assert changed.body["event_types"] is None
    assert (changed.body["enabled"], changed.body["disabled_reason"]) == (False, "merchant")
    assert changed.body["metadata"] == {"shop": "7"}, "what is not named stays"

    rotated = await gateway.post(f"{path}/rotate-secret", {"overlap_s": 60})
    assert rotated.status == 200, rotated.raw
    assert rotated.body["secret"] != made["secret"]
    keys = (await gateway.call("GET", f"{path}/public-keys")).body["data"]
    assert keys == rotated.body["public_keys"]
    assert made["public_keys"][0] == keys[1]

    assert (await gateway.post(f"{path}/test")).problem == "webhook-endpoint-disabled"
    assert (await gateway.call("PATCH", path, raw=b'{"enabled": true}')).body["enabled"]
    assert (await gateway.post(f"{path}/test")).status == 202
    assert (await gateway.call("DELETE", path)).status == 204
    assert (await gateway.call("GET", path)).status == 404


@pytest.mark.parametrize(
    "body",
    [
        b'{"url": null}', b'{"enabled": null}', b'{"secret": "whsec_mine"}', b'{"style": "stripe"}',
        b'{"event_types": []}', b'{"event_types": ["Payment; DROP"]}', b'{"event_types": ["paymnet.*"]}',
        b'{"event_types": ["payment.*", "payment.foo.v1"]}', b'{"url": 5}', b'{"merchant_id": "mer_2"}',
    ],
)  # fmt: skip
async def test_a_change_that_cannot_be_is_refused_and_nothing_is_changed(
    gateway: RunningGateway, body: bytes
) -> None:
    made = await an_endpoint(gateway)
    path = f"/v1/webhook-endpoints/{made['id']}"
    assert (await gateway.call("PATCH", path, raw=body)).status == 422
    shown = (await gateway.call("GET", path)).body
    assert shown == {name: value for name, value in made.items() if name != "secret"}


async def test_a_url_that_leads_inside_is_refused_when_saved_and_when_changed(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path / "journals", webhook_allow_private=False) as gateway:
        refused = await gateway.post("/v1/webhook-endpoints", {"url": "https://169.254.169.254/latest"})
        assert (refused.status, refused.problem) == (422, "webhook-url-not-allowed")
        assert b"169.254" not in refused.raw
        made = (await gateway.post("/v1/webhook-endpoints", {"url": "https://93.184.215.14/"})).body
        path = f"/v1/webhook-endpoints/{made['id']}"
        refused = await gateway.call("PATCH", path, raw=b'{"url": "https://127.0.0.1/"}')
        assert (refused.status, refused.problem) == (422, "webhook-url-not-allowed")


async def test_endpoints_are_listed_in_pages(gateway: RunningGateway) -> None:
    made = [(await an_endpoint(gateway))["id"] for _ in range(3)]
    first = (await gateway.call("GET", "/v1/webhook-endpoints?limit=2")).body
    rest = (await gateway.call("GET", f"/v1/webhook-endpoints?limit=2&after={first['next_after']}")).body
    assert [one["id"] for one in first["data"] + rest["data"]] == made
    assert rest["next_after"] is None


async def test_tenants_never_meet(gateway: RunningGateway) -> None:
    """Whatever another merchant's id is put into, the answer is that of an id that does not exist."""
    made = await an_endpoint(gateway)
    ping = (await gateway.post(f"/v1/webhook-endpoints/{made['id']}/test")).body
    _, stranger = await gateway.new_merchant()
    ours = {"we": made["id"], "evt": ping["event_id"], "dlv": ping["delivery_id"]}
    none = {kind: new_id(kind) for kind in ours}
    calls: list[tuple[str, str, bytes | None]] = [
        ("GET", "/v1/webhook-endpoints/{we}", None),
        ("GET", "/v1/webhook-endpoints/{we}/public-keys", None),
        ("PATCH", "/v1/webhook-endpoints/{we}", b'{"enabled": false}'),
        ("DELETE", "/v1/webhook-endpoints/{we}", None),
        ("POST", "/v1/webhook-endpoints/{we}/rotate-secret", b"{}"),
        ("POST", "/v1/webhook-endpoints/{we}/test", None),
        ("GET", "/v1/events/{evt}", None),
        ("GET", "/v1/events?after={evt}", None),
        ("GET", "/v1/webhook-deliveries/{dlv}", None),
        ("GET", "/v1/webhook-deliveries?endpoint_id={we}", None),
        ("GET", "/v1/webhook-deliveries?event_id={evt}", None),
    ]
    for method, path, raw in calls:
        theirs = await gateway.call(method, path.format(**ours), raw=raw, token=stranger)
        absent = await gateway.call(method, path.format(**none), raw=raw, token=stranger)
        assert theirs.status == absent.status, (method, path, theirs.raw)
        if theirs.status == 200:
            assert theirs.body == absent.body
            assert theirs.body["data"] == []
        else:
            assert theirs.problem == absent.problem
            assert theirs.body["detail"] == absent.body["detail"]
    for named in ("event_id", "endpoint_id"):
        body = {named: ours["evt" if named == "event_id" else "we"]}
        assert (await gateway.post("/v1/webhook-deliveries/replay", body, token=stranger)).status == 404
    assert (await gateway.call("GET", f"/v1/webhook-endpoints/{made['id']}")).body["enabled"]


async def test_a_delivery_shows_its_attempts_and_can_be_replayed_once_per_key(
    gateway: RunningGateway,
) -> None:
    made = await an_endpoint(gateway)
    ping = (await gateway.post(f"/v1/webhook-endpoints/{made['id']}/test")).body
    shown = (await gateway.call("GET", f"/v1/webhook-deliveries/{ping['delivery_id']}")).body
    assert (shown["status"], shown["attempts"], shown["cycle"]) == ("due", [], 1)
    for query in (f"endpoint_id={made['id']}", f"event_id={ping['event_id']}"):
        assert (await gateway.call("GET", f"/v1/webhook-deliveries?{query}")).body["data"] == [shown]
    assert (await gateway.call("GET", "/v1/webhook-deliveries")).status == 422
    path = "/v1/webhook-deliveries/replay"
    (event,) = await events(gateway, ["payment.captured.v1"])
    first = await gateway.post(path, {"event_id": event}, key="again")
    assert (first.status, first.body["deliveries"]) == (202, 1)
    second = await gateway.post(path, {"event_id": event}, key="again")
    assert (second.status, second.raw) == (202, first.raw)
    assert second.headers["Idempotent-Replayed"] == "true"
    other = await gateway.post(path, {"endpoint_id": made["id"]}, key="again")
    assert (other.status, other.problem) == (422, "idempotency-key-reuse")
    assert (await gateway.post(path, {})).status == 422
    assert (await gateway.call("POST", path, raw=b"{}")).status in (400, 422)


async def test_events_are_paged_both_ways_with_an_exact_has_more(gateway: RunningGateway) -> None:
    made = await events(gateway, ["payment.captured.v1"] * 6)

    async def walk(order: str, limit: int) -> tuple[list[str], list[int]]:
        found: list[str] = []
        sizes: list[int] = []
        cursor = ""
        while True:
            reply = await gateway.call("GET", f"/v1/events?order={order}&limit={limit}{cursor}")
            assert reply.status == 200, reply.raw
            found += [event["id"] for event in reply.body["data"]]
            sizes.append(len(reply.body["data"]))
            if not reply.body["has_more"]:
                assert reply.body["next_after"] is reply.body["next_before"] is None
                return found, sizes
            name = "after" if order == "asc" else "before"
            cursor = f"&{name}={reply.body[f'next_{name}']}"

    assert await walk("asc", 3) == (made, [3, 3]), "no empty page at the end"
    assert await walk("asc", 4) == (made, [4, 2])
    assert await walk("desc", 3) == (made[::-1], [3, 3])
    between = await gateway.call("GET", f"/v1/events?after={made[0]}&before={made[3]}")
    assert [event["id"] for event in between.body["data"]] == made[1:3]


async def test_events_are_found_by_type_and_time(gateway: RunningGateway) -> None:
    types = ["payment.created.v1", "payment.captured.v1", "refund.created.v1", "payment.captured.v1"]
    made = await events(gateway, types)

    async def found(query: str) -> list[int]:
        reply = await gateway.call("GET", f"/v1/events?{query}")
        assert reply.status == 200, reply.raw
        return [made.index(event["id"]) for event in reply.body["data"]]

    assert await found("type=payment.captured.v1") == [1, 3]
    assert await found("type=payment.*") == [0, 1, 3]
    assert await found("type=payment.*&limit=2&order=desc") == [3, 1]
    at = "2026-11-01T00:0{}:00Z".format
    assert await found(f"occurred_from={at(1)}&occurred_to={at(3)}") == [1, 2]
    assert (await gateway.call("GET", "/v1/events?occurred_from=2026-11-01T00:00:00")).status == 422
    assert (await gateway.call("GET", "/v1/events?type=%25")).status == 422
    shown = (await gateway.call("GET", f"/v1/events/{made[2]}")).body
    assert shown["type"] == "refund.created.v1"
    assert "position" not in shown


async def test_an_event_without_a_position_is_not_shown_yet(gateway: RunningGateway) -> None:
    made = await an_endpoint(gateway)
    ping = (await gateway.post(f"/v1/webhook-endpoints/{made['id']}/test")).body
    assert (await gateway.call("GET", f"/v1/events/{ping['event_id']}")).status == 404
    await events(gateway, [])
    assert (await gateway.call("GET", f"/v1/events/{ping['event_id']}")).status == 200
    async with gateway.deps.engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM payments.webhook_delivery")) == 1
