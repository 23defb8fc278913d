"""API keys: what one may do, one that may do less, renewing and ending them, and nobody meets another merchant."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from gateway_rig import RunningGateway, a_sale, run_gateway
from sqlalchemy import text

from payment_gateway.api import access
from payment_gateway.api.access import caller_of
from payment_gateway.app import create_gateway
from payment_gateway.domain.scopes import ALL_ONLY, SCOPES, needed_scope
from payment_gateway.settings import Settings
from payment_gateway.store import merchants
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.db import create_engine

BASIC_TAIL = ":"


def merchant_routes() -> list[tuple[str, str, list[Any]]]:
    """(method, path, tags) of every route that a merchant's key opens, the facade's too."""
    app = create_gateway(Settings(database_url="postgresql://nobody@127.0.0.1:9/none"))
    found = []
    for included in app.routes:
        for route in getattr(included, "effective_route_contexts", list)():
            if any(dependency.call is caller_of for dependency in route.dependant.dependencies):
                found += [(method, route.path, list(route.tags)) for method in sorted(route.methods)]
    return found


ROUTES = merchant_routes()


def test_every_route_of_a_merchant_declares_its_scope() -> None:
    assert len(ROUTES) > 80, "the walk has lost the routes"
    undeclared = [(method, path) for method, path, tags in ROUTES if needed_scope(tags, method) == ALL_ONLY]
    assert undeclared == []


async def a_key(gateway: RunningGateway, *scopes: str, **body: Any) -> dict[str, Any]:
    raw = orjson.dumps(({"scopes": list(scopes)} if scopes else {}) | body)
    reply = await gateway.call("POST", "/v1/api-keys", raw=raw)
    assert reply.status == 201, reply.raw
    return reply.body


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    access._cache.clear()


async def test_every_route_refuses_a_key_without_its_scope_and_a_garbage_one(gateway: RunningGateway) -> None:
    before = await gateway.rows()
    for method, path, tags in ROUTES:
        needed = needed_scope(tags, method)
        narrow = await a_key(gateway, *(SCOPES - {needed}))
        concrete = path.replace("{", "x").replace("}", "")
        refused = await gateway.call(
            method, concrete, token=narrow["api_key"], raw=b"{}", headers={"Idempotency-Key": "k"}
        )
        assert refused.status == 403, (method, path, refused.raw)
        assert needed in refused.raw.decode()
        garbage = await gateway.call(method, concrete, token="sk_test_garbage", raw=b"{}")
        assert garbage.status == 401, (method, path)
    after = await gateway.rows()
    assert after == before


async def test_a_key_does_what_its_scopes_say(gateway: RunningGateway) -> None:
    reader = await a_key(gateway, "payments:read")
    paid = await gateway.pay()
    read = await gateway.call("GET", f"/v1/payments/{paid.body['id']}", token=reader["api_key"])
    assert read.status == 200
    refused = await gateway.post("/v1/payments", a_sale(), token=reader["api_key"])
    assert (refused.status, refused.problem) == (403, "insufficient-scope")


async def test_a_key_cannot_pass_on_what_it_does_not_have(gateway: RunningGateway) -> None:
    maker = await a_key(gateway, "keys:write", "keys:read", "payments:read")
    raw = orjson.dumps({"scopes": ["payments:write"]})
    refused = await gateway.call("POST", "/v1/api-keys", token=maker["api_key"], raw=raw)
    assert refused.status == 403
    inherited = await gateway.call("POST", "/v1/api-keys", token=maker["api_key"], raw=b"{}")
    assert inherited.body["scopes"] == ["keys:read", "keys:write", "payments:read"]
    first = (await gateway.call("GET", "/v1/api-keys")).body["data"][-1]
    renewed = await gateway.call("POST", f"/v1/api-keys/{first['id']}/rotate", token=maker["api_key"])
    assert renewed.status == 403, "the first key may do everything"


async def test_a_renewed_key_works_beside_the_old_one_until_the_overlap_is_over(
    gateway: RunningGateway,
) -> None:
    old = await a_key(gateway, "payments:read")
    renewed = await gateway.call("POST", f"/v1/api-keys/{old['id']}/rotate", raw=b'{"overlap_s": 3600}')
    assert (renewed.status, renewed.body["scopes"]) == (201, ["payments:read"])
    for key in (old["api_key"], renewed.body["api_key"]):
        assert (await gateway.call("GET", "/v1/payments", token=key)).status == 200
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(
            text("UPDATE payments.api_key SET expires_at = now() WHERE id = :id"), {"id": old["id"]}
        )
    access._cache.clear()
    ended = await gateway.call("GET", "/v1/payments", token=old["api_key"])
    assert (ended.status, ended.body["detail"].startswith("This key ended at 2")) == (401, True)
    assert (await gateway.call("GET", "/v1/payments", token=renewed.body["api_key"])).status == 200


async def test_a_revoked_key_is_believed_for_a_second_at_most(gateway: RunningGateway) -> None:
    key = await a_key(gateway)
    assert (await gateway.call("GET", "/v1/payments", token=key["api_key"])).status == 200
    revoked = await gateway.call("POST", f"/v1/api-keys/{key['id']}/revoke")
    assert (revoked.status, revoked.body["revoked_at"] is not None) == (200, True)
    await asyncio.sleep(access.CACHE_S)
    assert (await gateway.call("GET", "/v1/payments", token=key["api_key"])).status == 401


async def test_keys_are_shown_once_and_never_stored(gateway: RunningGateway) -> None:
    key = await a_key(gateway, name="reporting", expires_at="2036-01-01T00:00:00Z")
    listed = await gateway.call("GET", "/v1/api-keys")
    assert key["api_key"] not in listed.raw.decode()
    shown = listed.body["data"][0]
    assert (shown["name"], shown["hint"], shown["expires_at"][:4]) == (
        "reporting",
        key["api_key"][-4:],
        "2036",
    )
    async with gateway.deps.engine.connect() as connection:
        dump = await connection.scalar(text("SELECT string_agg(k::text, ' ') FROM payments.api_key k"))
    assert key["api_key"] not in str(dump)


async def test_another_merchants_keys_are_absent(gateway: RunningGateway) -> None:
    mine = await a_key(gateway)
    _, other = await gateway.new_merchant()
    for act in ("rotate", "revoke"):
        refused = await gateway.call("POST", f"/v1/api-keys/{mine['id']}/{act}", token=other)
        assert (refused.status, refused.problem) == (404, "not-found")
    assert (await gateway.call("GET", "/v1/payments", token=mine["api_key"])).status == 200


@pytest.mark.parametrize(
    "body", [{"scopes": ["everything"]}, {"scopes": []}, {"expires_at": "2036-01-01"}, {"role": "admin"}]
)
async def test_a_key_that_is_not_as_documented_is_refused(
    gateway: RunningGateway, body: dict[str, Any]
) -> None:
    assert (await gateway.call("POST", "/v1/api-keys", raw=orjson.dumps(body))).status == 422


async def test_basic_authentication_takes_the_key_as_user(gateway: RunningGateway) -> None:
    def header(user: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()}

    good = await gateway.call("GET", "/v1/payments", headers=header(gateway.key + BASIC_TAIL))
    assert good.status == 200
    for user in (gateway.key + ":secret", "sk_test_garbage:", ":", gateway.key[:-1] + BASIC_TAIL):
        assert (await gateway.call("GET", "/v1/payments", headers=header(user))).status == 401


async def test_the_last_use_of_a_key_is_shown_without_a_write_per_request(gateway: RunningGateway) -> None:
    used, unused = await a_key(gateway), await a_key(gateway)
    for _ in range(20):
        await gateway.call("GET", "/v1/payments", token=used["api_key"])
    assert await gateway.deps.key_uses.write() == 2, "the merchant's first key, and the one that was used"
    shown = {
        one["id"]: one["last_used_at"] for one in (await gateway.call("GET", "/v1/api-keys")).body["data"]
    }
    assert shown[unused["id"]] is None
    age = gateway.deps.clock.now() - datetime.fromisoformat(shown[used["id"]])
    assert age < timedelta(minutes=1)


async def test_an_older_use_that_is_written_later_changes_nothing(gateway: RunningGateway) -> None:
    key = await a_key(gateway)
    async with gateway.deps.engine.begin() as connection:
        for day in (2, 1):
            await merchants.note_uses(connection, {key["id"]: datetime(2026, 11, day, tzinfo=UTC)})
    shown = (await gateway.call("GET", "/v1/api-keys")).body["data"][0]
    assert shown["last_used_at"].startswith("2026-11-02")


async def test_uses_are_written_when_the_process_ends(fresh_database: FreshDatabase, tmp_path: Path) -> None:
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path) as gateway:
        await gateway.call("GET", "/v1/payments")
    engine = create_engine(Settings(database_url=database.app_url))
    async with engine.connect() as connection:
        found = await connection.scalar(text("SELECT last_used_at FROM payments.api_key"))
    await engine.dispose()
    assert found is not None
