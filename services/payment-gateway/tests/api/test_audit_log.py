"""Every administrative act leaves an entry in its own transaction: who, what, in which request, and never a secret."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from gateway_rig import ADMIN, RunningGateway
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from payment_gateway.api import access
from payment_gateway.domain.audit import Actor
from payment_gateway.operations.manage_api_keys import list_api_keys, revoke_api_key

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    access._cache.clear()


async def entries(gateway: RunningGateway, query: str = "", **options: Any) -> list[dict[str, Any]]:
    reply = await gateway.call("GET", f"/v1/audit-log{query}", **options)
    assert reply.status == 200, reply.raw
    return list(reply.body["data"])


async def change(gateway: RunningGateway, method: str, path: str, body: Any, token: str | None = None) -> Any:
    headers = {"X-Request-Id": f"audit-test-{method}"}
    reply = await gateway.call(method, path, raw=orjson.dumps(body), token=token, headers=headers)
    assert reply.status < 300, reply.raw
    return reply.body if reply.raw else None


async def test_every_act_is_in_the_log_with_its_actor_and_its_request(gateway: RunningGateway) -> None:
    secrets = [gateway.key]
    merchant = f"/v1/merchants/{gateway.merchant_id}"
    key = await change(gateway, "POST", "/v1/api-keys", {"name": "reports", "scopes": ["events:read"]})
    renewed = await change(gateway, "POST", f"/v1/api-keys/{key['id']}/rotate", {"overlap_s": 60})
    await change(gateway, "POST", f"/v1/api-keys/{key['id']}/revoke", {})
    hook = await change(
        gateway, "POST", "/v1/webhook-endpoints", {"url": "http://127.0.0.1:9/hook?token=s3cret"}
    )
    endpoint = f"/v1/webhook-endpoints/{hook['id']}"
    await change(gateway, "PATCH", endpoint, {"enabled": False})
    rotated = await change(gateway, "POST", f"{endpoint}/rotate-secret", {})
    await change(gateway, "DELETE", endpoint, {})
    await change(gateway, "PATCH", "/v1/merchant", {"api_version": "2026-11-23"})
    await change(gateway, "PATCH", merchant, {"name": "Corner shop"}, ADMIN)
    await change(gateway, "PUT", f"{merchant}/terms", {"settlement_delay_days": 1}, ADMIN)
    await change(gateway, "POST", f"{merchant}/disable", {"reason": "asked to"}, ADMIN)
    await change(gateway, "POST", f"{merchant}/enable", {}, ADMIN)
    access._cache.clear()
    secrets += [key["api_key"], renewed["api_key"], hook["secret"], rotated["secret"], "s3cret", ADMIN]

    found = await entries(gateway)
    by_key, by_admin = "api_key", "administrator"
    assert [(one["action"], one["actor"]["type"], one["object_id"]) for one in found[::-1]] == [
        ("merchant.created", by_admin, gateway.merchant_id),
        ("api_key.created", by_key, key["id"]),
        ("api_key.rotated", by_key, renewed["id"]),
        ("api_key.revoked", by_key, key["id"]),
        ("webhook_endpoint.created", by_key, hook["id"]),
        ("webhook_endpoint.updated", by_key, hook["id"]),
        ("webhook_endpoint.secret_rotated", by_key, hook["id"]),
        ("webhook_endpoint.deleted", by_key, hook["id"]),
        ("merchant.updated", by_key, gateway.merchant_id),
        ("merchant.updated", by_admin, gateway.merchant_id),
        ("merchant.terms_changed", by_admin, gateway.merchant_id),
        ("merchant.disabled", by_admin, gateway.merchant_id),
        ("merchant.enabled", by_admin, gateway.merchant_id),
    ]
    (first_key,) = [one for one in await list_api_keys(gateway.deps, gateway.merchant_id) if not one["hint"]]
    keys = {one["actor"]["id"] for one in found if one["actor"]["type"] == by_key}
    assert keys == {first_key["id"]}
    assert all(one["request_id"].startswith("audit-test-") for one in found[:-1])
    assert found[1]["details"] == {"reason": "asked to"}
    dump = orjson.dumps(found).decode()
    assert [secret for secret in secrets if secret in dump] == []


async def test_the_facades_endpoints_are_in_the_log_too(gateway: RunningGateway) -> None:
    raw = b"url=http://127.0.0.1:9/hook&enabled_events[0]=*"
    made = await gateway.call("POST", "/stripe/v1/webhook_endpoints", raw=raw, headers=FORM)
    path = f"/stripe/v1/webhook_endpoints/{made.body['id']}"
    await gateway.call("POST", path, raw=b"disabled=true", headers=FORM)
    await gateway.call("DELETE", path)
    acts = [one["action"] for one in await entries(gateway)][:3]
    assert acts == [f"webhook_endpoint.{act}" for act in ("deleted", "updated", "created")]


async def test_pages_and_actions_narrow_the_log(gateway: RunningGateway) -> None:
    for name in ("a", "b", "c"):
        await change(gateway, "POST", "/v1/api-keys", {"name": name})
    first = (await gateway.call("GET", "/v1/audit-log?limit=2")).body
    rest = await entries(gateway, f"?limit=2&cursor={first['next_cursor']}")
    assert [one["details"]["name"] for one in [*first["data"], *rest]] == ["c", "b", "a", "Shop"]
    assert len(await entries(gateway, "?action=merchant.created")) == 1


async def test_a_merchant_sees_its_own_log_and_the_administrator_all(gateway: RunningGateway) -> None:
    other, token = await gateway.new_merchant()
    assert {one["merchant_id"] for one in await entries(gateway)} == {gateway.merchant_id}
    assert {one["merchant_id"] for one in await entries(gateway, token=token)} == {other}
    everywhere = await gateway.call("GET", "/v1/admin/audit-log", token=ADMIN)
    assert {one["merchant_id"] for one in everywhere.body["data"]} == {gateway.merchant_id, other}
    one = await gateway.call("GET", f"/v1/admin/audit-log?merchant_id={other}", token=ADMIN)
    assert {entry["merchant_id"] for entry in one.body["data"]} == {other}
    assert (await gateway.call("GET", "/v1/admin/audit-log")).status == 401


@pytest.mark.parametrize(
    "statement", ["UPDATE payments.audit_entry SET action = 'x'", "DELETE FROM payments.audit_entry"]
)
async def test_the_log_cannot_be_changed(gateway: RunningGateway, statement: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with gateway.deps.engine.begin() as connection:
            await connection.execute(text(statement))


async def test_an_act_whose_entry_cannot_be_written_does_not_happen(gateway: RunningGateway) -> None:
    key = await change(gateway, "POST", "/v1/api-keys", {})
    with pytest.raises(IntegrityError):
        await revoke_api_key(gateway.deps, gateway.merchant_id, key["id"], Actor("nobody we know"))
    (shown, *_) = await list_api_keys(gateway.deps, gateway.merchant_id)
    assert (shown["id"], shown["revoked_at"]) == (key["id"], None)
