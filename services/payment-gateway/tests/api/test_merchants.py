"""Merchants administered over the API; a disabled one's keys open nothing, and what it has running goes on."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from gateway_rig import ADMIN, Reply, RunningGateway, a_sale
from money_rig import set_terms
from sqlalchemy import text

from payment_gateway.api import access
from payment_gateway.domain.versions import CURRENT
from payment_gateway.operations.resolve_attempts import resolve_attempts
from payment_gateway.operations.settle_captures import settle_captures


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    access._cache.clear()


async def administer(gateway: RunningGateway, method: str, path: str = "", body: object = None) -> Reply:
    raw = orjson.dumps(body) if body is not None else None
    return await gateway.call(method, f"/v1/merchants{path}", token=ADMIN, raw=raw)


async def test_merchants_are_listed_by_page_the_newest_first(gateway: RunningGateway) -> None:
    made = [gateway.merchant_id, *[(await gateway.new_merchant())[0] for _ in range(4)]]
    seen: list[str] = []
    query = "?limit=2"
    while True:
        page = (await administer(gateway, "GET", query)).body
        seen += [one["id"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        query = f"?limit=2&cursor={page['next_cursor']}"
        await gateway.new_merchant()  # pages are stable while merchants are added
    assert seen == made[::-1]


async def test_a_merchant_is_shown_and_changed(gateway: RunningGateway) -> None:
    path = f"/{gateway.merchant_id}"
    shown = (await administer(gateway, "GET", path)).body
    assert (shown["name"], shown["country"], shown["api_version"]) == ("Shop", "DE", CURRENT)
    changed = await administer(gateway, "PATCH", path, {"name": "Corner shop"})
    assert (changed.status, changed.body) == (200, shown | {"name": "Corner shop"})
    terms = await administer(gateway, "GET", f"{path}/terms")
    assert (terms.status, terms.body["settlement_delay_days"]) == (200, 2)
    for bad in ({"name": ""}, {"country": "Germany"}, {"id": "mer_1"}, {"name": None}):
        assert (await administer(gateway, "PATCH", path, bad)).status == 422
    for absent in ("/mer_00000000000000000000000000", "/nobody"):
        for method, tail in (("GET", ""), ("PATCH", ""), ("POST", "/disable"), ("POST", "/enable")):
            assert (await administer(gateway, method, absent + tail, {})).status == 404


async def test_a_disabled_merchants_keys_open_nothing_within_a_second(gateway: RunningGateway) -> None:
    other, other_key = await gateway.new_merchant()
    assert (await gateway.pay()).status == 201
    disabled = await administer(
        gateway, "POST", f"/{gateway.merchant_id}/disable", {"reason": "asked to stop"}
    )
    assert disabled.status == 200
    assert disabled.body["disabled_at"]
    await asyncio.sleep(access.CACHE_S)
    before = await gateway.rows()
    for reply in (await gateway.pay(), await gateway.call("GET", "/v1/merchant")):
        assert (reply.status, reply.problem) == (403, "merchant-disabled")
    facade = await gateway.call("GET", "/stripe/v1/payment_intents")
    assert (facade.status, facade.body["error"]["type"]) == (403, "invalid_request_error")
    assert await gateway.rows() == before
    assert (await gateway.post("/v1/payments", a_sale(), token=other_key)).status == 201
    listed = (await administer(gateway, "GET", "?disabled=true")).body["data"]
    assert [one["id"] for one in listed] == [gateway.merchant_id]
    assert other in {one["id"] for one in (await administer(gateway, "GET", "?disabled=false")).body["data"]}

    again = await administer(gateway, "POST", f"/{gateway.merchant_id}/disable")
    assert again.body["disabled_at"] == disabled.body["disabled_at"], "disabled once"
    enabled = await administer(gateway, "POST", f"/{gateway.merchant_id}/enable")
    assert enabled.body["disabled_at"] is None
    access._cache.clear()
    assert (await gateway.pay()).status == 201


async def test_what_a_disabled_merchant_has_running_is_resolved_and_settled(gateway: RunningGateway) -> None:
    await set_terms(gateway, settlement_delay_days=0)
    paid = await gateway.captured(10_000)
    lost = await gateway.pay("tok_visa", metadata={"sandbox_fault": "charge-then-drop"})
    assert lost.status == 202, lost.raw
    await administer(gateway, "POST", f"/{gateway.merchant_id}/disable")
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text("UPDATE payments.attempt SET due_at = now() WHERE due_at IS NOT NULL"))
    await resolve_attempts(gateway.deps)
    await settle_captures(gateway.deps)
    await administer(gateway, "POST", f"/{gateway.merchant_id}/enable")
    access._cache.clear()
    assert await gateway.status(paid) == "captured"
    assert await gateway.status(str(lost.body["id"])) == "captured"
    (balance,) = (await gateway.call("GET", "/v1/balance")).body["balances"]
    assert (balance["pending_minor"], balance["available_minor"]) == (0, 11_250)


async def test_the_administrator_gives_a_merchant_that_has_lost_its_keys_a_new_one(
    gateway: RunningGateway,
) -> None:
    path = f"/{gateway.merchant_id}/api-keys"
    (lost,) = (await administer(gateway, "GET", path)).body["data"]
    made = await administer(gateway, "POST", path, {"name": "again"})
    assert (made.status, made.body["scopes"]) == (201, None)
    revoked = await administer(gateway, "POST", f"{path}/{lost['id']}/revoke")
    assert revoked.body["revoked_at"]
    access._cache.clear()
    assert (await gateway.call("GET", "/v1/merchant")).status == 401
    gateway.key = made.body["api_key"]
    assert (await gateway.pay()).status == 201
    acts = (await gateway.call("GET", "/v1/audit-log?limit=2")).body["data"]
    assert [(one["action"], one["actor"]["type"]) for one in acts] == [
        ("api_key.revoked", "administrator"),
        ("api_key.created", "administrator"),
    ]
    other, _ = await gateway.new_merchant()
    strange = await administer(gateway, "POST", f"/{other}/api-keys/{made.body['id']}/revoke")
    assert strange.status == 404, "another merchant's key"
    assert (await administer(gateway, "GET", "/mer_00000000000000000000000000/api-keys")).status == 404
