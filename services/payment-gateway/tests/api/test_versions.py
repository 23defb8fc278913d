"""Dated versions: each answers in its committed shape, wherever a payment stands, and keys belong to a version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from gateway_rig import ADMIN, Reply, RunningGateway, a_sale
from jsonschema import Draft202012Validator

from payment_gateway.api import access
from payment_gateway.api.versions import FINGERPRINTED_BARE
from payment_gateway.domain.versions import CURRENT, VERSIONS, may_differ, shown_at
from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks
from payment_gateway.store.tables import outbox
from platform_kit.outbox import Relay
from platform_kit.redis import create_redis

OLD = "2026-11-23"
CONTRACTS = Path(__file__).parents[2] / "contracts/versions"


def at(version: str) -> dict[str, str]:
    return {"Platform-Version": version}


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every payment, refund and account in an answer, however deep."""
    if isinstance(value, dict):
        if value.get("object") in ("payment", "refund", "account"):
            yield value
        for name, one in value.items():
            if name != "metadata":
                yield from objects(one)
    elif isinstance(value, list):
        for one in value:
            yield from objects(one)


def faults(version: str, answer: Any) -> list[str]:
    schemas = json.loads((CONTRACTS / f"{version}.json").read_text(encoding="utf-8"))
    found = list(objects(answer))
    assert found, "an answer without any object proves nothing"
    return [
        fault.message
        for one in found
        for fault in Draft202012Validator(schemas[one["object"].title()]).iter_errors(one)
    ]


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    access._cache.clear()


async def number_events(gateway: RunningGateway) -> None:
    async with create_redis("redis://127.0.0.1:1/0") as nobody:  # numbered, not published
        await Relay(gateway.deps.engine, outbox, nobody, "none").assign()


async def a_day(gateway: RunningGateway, version: str) -> list[Reply]:
    """Answers with a payment of every kind that a version may show differently."""

    async def post(path: str, body: Any = None) -> Reply:
        return await gateway.post(path, body, headers=at(version))

    paid = await post("/v1/payments", a_sale(metadata={"object": "payment", "status": "cancelled"}))
    unconfirmed = await post("/v1/payments", a_sale(confirm=False, statement_descriptor="CORNER SHOP"))
    challenged = await post("/v1/payments", a_sale("tok_3ds_challenge"))
    pay = f"/v1/payments/{paid.body['id']}"
    replies = [
        paid,
        unconfirmed,
        challenged,
        await post("/v1/payments", a_sale("tok_decline")),
        await post(f"/v1/payments/{challenged.body['id']}/cancel"),
        await post(f"{pay}/refunds", {"amount_minor": 100, "metadata": {"why": "late"}}),
        await gateway.call("GET", pay, headers=at(version)),
        await gateway.call("GET", f"{pay}/refunds", headers=at(version)),
        await gateway.call("GET", "/v1/payments", headers=at(version)),
        await gateway.call("GET", "/v1/ledger/accounts", headers=at(version)),
    ]
    await number_events(gateway)
    return [*replies, await gateway.call("GET", "/v1/events?limit=100", headers=at(version))]


def test_every_version_has_its_committed_contract() -> None:
    assert {path.stem for path in CONTRACTS.glob("*.json")} == set(VERSIONS)
    assert list(VERSIONS) == sorted(VERSIONS)


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_answer_is_in_the_shape_of_the_version_that_was_asked_for(
    gateway: RunningGateway, version: str
) -> None:
    for reply in await a_day(gateway, version):
        assert reply.status in (200, 201, 202), reply.raw
        assert reply.headers.getall("Platform-Version") == [version]  # type: ignore[attr-defined]
        assert faults(version, reply.body) == [], reply.raw


async def test_an_account_is_called_as_its_merchant_called_it_and_before_as_the_platform_keeps_it(
    gateway: RunningGateway,
) -> None:
    await gateway.captured(1_000)
    await gateway.post("/v1/ledger/accounts", {"name": "savings", "currency": "EUR"})

    async def accounts(version: str) -> list[dict[str, Any]]:
        found = (await gateway.call("GET", "/v1/ledger/accounts", headers=at(version))).body["data"]
        return list(found)

    now = {(one["book"], one["name"]) for one in await accounts(CURRENT)}
    assert now == {("own", "savings"), ("payments", "pending")}
    mer = gateway.merchant_id
    for version in VERSIONS[:-1]:
        before = {one["name"] for one in await accounts(version)}
        assert before == {f"ledger:{mer}:savings", f"merchant:{mer}:pending"}


async def test_an_answer_without_anything_that_changed_is_the_same_bytes_in_every_version(
    gateway: RunningGateway,
) -> None:
    made = await gateway.pay()
    path = f"/v1/payments/{made.body['id']}"
    before_last, newest = [await gateway.call("GET", path, headers=at(one)) for one in VERSIONS[-2:]]
    assert before_last.raw == newest.raw
    assert not may_differ(VERSIONS[-2], newest.raw)
    assert may_differ(VERSIONS[0], newest.raw)


async def test_what_changed_is_what_the_page_says(gateway: RunningGateway) -> None:
    made = await gateway.pay("tok_3ds_challenge", metadata={"object": "payment", "status": "cancelled"})
    path = f"/v1/payments/{made.body['id']}"
    await gateway.post(f"{path}/cancel")
    newest = (await gateway.call("GET", path)).body
    old = (await gateway.call("GET", path, headers=at(OLD))).body
    assert (newest["status"], old["status"]) == ("cancelled", "voided")
    assert newest.keys() - old.keys() == {
        "disputed_minor", "statement_descriptor", "surcharge_minor", "fee_minor", "fee_returned_minor",
    }  # fmt: skip
    assert old["metadata"] == newest["metadata"], "what is the merchant's is not ours to translate"


async def test_a_pinned_merchant_gets_its_version_unless_it_asks_for_another(gateway: RunningGateway) -> None:
    shown = await gateway.call("GET", "/v1/merchant")
    assert shown.body["api_version"] == CURRENT
    pinned = await gateway.call("PATCH", "/v1/merchant", raw=orjson.dumps({"api_version": OLD}))
    assert (pinned.status, pinned.body["api_version"]) == (200, OLD)
    access._cache.clear()
    for headers, version in (({}, OLD), (at(CURRENT), CURRENT)):
        reply = await gateway.post("/v1/payments", a_sale(), headers=headers)
        assert reply.headers["Platform-Version"] == version
        assert ("disputed_minor" in reply.body) is (version == CURRENT)
    refused = await gateway.call("GET", "/v1/payments/pay_none")
    assert (refused.status, refused.headers["Platform-Version"]) == (404, OLD)


async def test_webhooks_come_in_the_version_to_which_the_merchant_is_pinned(gateway: RunningGateway) -> None:
    received: list[dict[str, Any]] = []
    told: list[str] = []

    async def take(request: web.Request) -> web.Response:
        received.append(orjson.loads(await request.read()))
        told.append(request.headers["Platform-Version"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await gateway.post("/v1/webhook-endpoints", {"url": url})
    for version in VERSIONS:
        received.clear()
        told.clear()
        await gateway.call("PATCH", "/v1/merchant", raw=orjson.dumps({"api_version": version}))
        await gateway.pay()
        await number_events(gateway)
        await fan_out_webhooks(gateway.deps)
        await deliver_webhooks(gateway.deps)
        assert set(told) == {version}
        assert faults(version, received) == []
        assert {"disputed_minor" in one["data"]["payment"] for one in received} == {version != OLD}
    await runner.cleanup()


@pytest.mark.parametrize("value", ["2026-11-24", "v1", "", "2026-11-26, 2026-11-23"])
async def test_an_unknown_version_is_refused_with_the_list_before_anything_is_done(
    gateway: RunningGateway, value: str
) -> None:
    before = await gateway.rows()
    reply = await gateway.post("/v1/payments", a_sale(), headers=at(value))
    assert (reply.status, reply.problem) == (400, "unknown-api-version")
    assert reply.body["versions"] == list(VERSIONS)
    assert await gateway.rows() == before


async def test_two_versions_in_one_request_are_refused(gateway: RunningGateway) -> None:
    headers = [("Platform-Version", OLD), ("Platform-Version", CURRENT)]
    async with gateway.session.get(
        f"{gateway.url}/v1/payments", headers=[*headers, ("Authorization", f"Bearer {gateway.key}")]
    ) as reply:
        assert reply.status == 400


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_repetition_gets_the_bytes_of_its_version_again(
    gateway: RunningGateway, version: str
) -> None:
    first, again = [
        await gateway.post("/v1/payments", a_sale(), key="k", headers=at(version)) for _ in range(2)
    ]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.raw == again.raw


async def test_a_key_is_not_taken_for_another_version(gateway: RunningGateway) -> None:
    for one, other in ((OLD, CURRENT), (CURRENT, OLD)):
        await gateway.post("/v1/payments", a_sale(), key=one, headers=at(one))
        reply = await gateway.post("/v1/payments", a_sale(), key=one, headers=at(other))
        assert (reply.status, reply.problem) == (422, "idempotency-key-reuse")
    await gateway.post("/v1/payments", a_sale(), key="early", headers=at(FINGERPRINTED_BARE))
    again = await gateway.post("/v1/payments", a_sale(), key="early")
    assert again.headers["Idempotent-Replayed"] == "true", (
        "as keys were stored before versions were asked for"
    )


async def test_a_new_pin_keeps_nobody_from_learning_what_came_of_a_request(gateway: RunningGateway) -> None:
    first = await gateway.post("/v1/payments", a_sale(), key="k")
    await gateway.call("PATCH", "/v1/merchant", raw=orjson.dumps({"api_version": OLD}))
    access._cache.clear()
    again = await gateway.post("/v1/payments", a_sale(), key="k")
    assert (again.status, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert (again.body["id"], again.headers["Platform-Version"]) == (first.body["id"], OLD)


async def test_the_facade_has_one_shape_whatever_version_is_pinned(gateway: RunningGateway) -> None:
    await gateway.call("PATCH", "/v1/merchant", raw=orjson.dumps({"api_version": OLD}))
    access._cache.clear()
    reply = await gateway.call("GET", "/stripe/v1/payment_intents", headers=at("nonsense"))
    assert reply.status == 200
    assert "Platform-Version" not in reply.headers


async def test_the_administrator_may_pin_a_merchant(gateway: RunningGateway) -> None:
    path = f"/v1/merchants/{gateway.merchant_id}"
    for value, status in ((OLD, 200), ("2020-01-01", 422)):
        reply = await gateway.call("PATCH", path, token=ADMIN, raw=orjson.dumps({"api_version": value}))
        assert reply.status == status


@pytest.mark.parametrize("version", VERSIONS)
def test_a_step_back_leaves_alone_what_is_older_already(version: str) -> None:
    """An answer that was stored before a release is replayed after it."""
    answer = {
        "object": "payment", "status": "cancelled", "disputed_minor": 0, "statement_descriptor": None,
        "refunds": [{"object": "refund", "status": "pending", "metadata": {}}],
    }  # fmt: skip
    once = shown_at(version, answer)
    assert shown_at(version, once) == once
    assert answer["status"] == "cancelled", "the newest shape is not changed"
