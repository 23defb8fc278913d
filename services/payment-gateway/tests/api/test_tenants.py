"""Tenants cannot meet (P15): every operation of the API, tried without a key, with a wrong one, with one that has
ended, and with another merchant's; each has a row here. (Keys that lack the scope: test_api_keys.)"""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from gateway_rig import ADMIN, Reply, RunningGateway, a_sale
from sqlalchemy import event, text
from tenant_rig import FORM, absent, furnish
from test_api_keys import merchant_routes

from payment_gateway.api import access
from payment_gateway.store.tenancy import BECOME

pytestmark = pytest.mark.timing

LINE = {"debit_account": "funding", "credit_account": "savings", "amount_minor": 1, "currency": "EUR"}
A_PAYOUT = {"amount_minor": 1, "currency": "EUR", "destination": "ba_pays"}

# (method, path) -> a body that would do something to an object of one's own; None = the request has none.
ROWS: dict[tuple[str, str], dict[str, Any] | None] = {
    ("POST", "/v1/payments"): a_sale(),
    ("GET", "/v1/payments"): None,
    ("GET", "/v1/payments/{payment_id}"): None,
    ("POST", "/v1/payments/{payment_id}"): {"description": "mine now"},
    ("POST", "/v1/payments/{payment_id}/confirm"): {},
    ("POST", "/v1/payments/{payment_id}/cancel"): {},
    ("POST", "/v1/payments/{payment_id}/capture"): {"amount_minor": 1},
    ("POST", "/v1/payments/{payment_id}/void"): {},
    ("POST", "/v1/payments/{payment_id}/refunds"): {"amount_minor": 1},
    ("GET", "/v1/payments/{payment_id}/refunds"): None,
    ("GET", "/v1/refunds"): None,
    ("GET", "/v1/refunds/{refund_id}"): None,
    ("GET", "/v1/disputes"): None,
    ("GET", "/v1/disputes/{dispute_id}"): None,
    ("POST", "/v1/disputes/{dispute_id}/evidence"): {"evidence": {"note": "mine"}},
    ("POST", "/v1/disputes/{dispute_id}/accept"): {},
    ("GET", "/v1/balance"): None,
    ("GET", "/v1/balance-transactions"): None,
    ("GET", "/v1/reserves"): None,
    ("POST", "/v1/payouts"): A_PAYOUT,
    ("GET", "/v1/payouts"): None,
    ("GET", "/v1/payouts/{payout_id}"): None,
    ("POST", "/v1/payouts/{payout_id}/cancel"): {},
    ("GET", "/v1/events"): None,
    ("GET", "/v1/events/{event_id}"): None,
    ("POST", "/v1/idempotency-keys/cancel"): {"key": "somebody-elses"},
    ("POST", "/v1/webhook-endpoints"): {"url": "http://127.0.0.1:9/hook"},
    ("GET", "/v1/webhook-endpoints"): None,
    ("GET", "/v1/webhook-endpoints/{endpoint_id}"): None,
    ("GET", "/v1/webhook-endpoints/{endpoint_id}/public-keys"): None,
    ("PATCH", "/v1/webhook-endpoints/{endpoint_id}"): {"enabled": False},
    ("DELETE", "/v1/webhook-endpoints/{endpoint_id}"): None,
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/rotate-secret"): {},
    ("POST", "/v1/webhook-endpoints/{endpoint_id}/test"): None,
    ("GET", "/v1/webhook-deliveries"): None,
    ("GET", "/v1/webhook-deliveries/{delivery_id}"): None,
    ("POST", "/v1/webhook-deliveries/replay"): {"occurred_from": "2026-01-01T00:00:00Z"},
    ("POST", "/v1/ledger/accounts"): {"name": "own", "currency": "EUR"},
    ("GET", "/v1/ledger/accounts"): None,
    ("GET", "/v1/ledger/accounts/{name}/balance"): None,
    ("GET", "/v1/ledger/accounts/{name}/transfers"): None,
    ("GET", "/v1/ledger/accounts/{name}/holds"): None,
    ("POST", "/v1/ledger/transfers"): LINE,
    ("GET", "/v1/ledger/transfers"): None,
    ("GET", "/v1/ledger/holds/{hold_id}"): None,
    ("POST", "/v1/ledger/holds/{hold_id}/post"): {},
    ("POST", "/v1/ledger/holds/{hold_id}/void"): {},
    ("GET", "/v1/ledger/journals/{journal_id}"): None,
    ("POST", "/v1/ledger/journals/{journal_id}/reverse"): {"reason": "mine"},
    ("GET", "/v1/merchant"): None,
    ("PATCH", "/v1/merchant"): {"api_version": "2026-11-23"},
    ("GET", "/v1/audit-log"): None,
    ("POST", "/v1/api-keys"): {},
    ("GET", "/v1/api-keys"): None,
    ("POST", "/v1/api-keys/{key_id}/rotate"): {},
    ("POST", "/v1/api-keys/{key_id}/revoke"): None,
    ("POST", "/v1/customers"): {"name": "Eve"},
    ("GET", "/v1/customers"): None,
    ("GET", "/v1/customers/{customer_id}"): None,
    ("POST", "/v1/customers/{customer_id}"): {"name": "Eve"},
    ("DELETE", "/v1/customers/{customer_id}"): None,
    ("POST", "/v1/erasures"): {"customer": "ada-17"},
    ("GET", "/v1/erasures"): None,
    ("GET", "/v1/erasures/{erasure_id}"): None,
    ("POST", "/v1/payment-methods"): {"type": "card", "card": {"token": "tok_visa"}},
    ("GET", "/v1/payment-methods"): None,
    ("GET", "/v1/payment-methods/{payment_method_id}"): None,
    ("POST", "/v1/payment-methods/{payment_method_id}"): {"metadata": {"whose": "mine"}},
    ("POST", "/v1/payment-methods/{payment_method_id}/attach"): {"customer_id": "OWN CUSTOMER"},
    ("POST", "/v1/payment-methods/{payment_method_id}/detach"): {},
    # Stripe's shape, as forms
    ("POST", "/stripe/v1/payment_intents"): {"amount": 100, "currency": "eur"},
    ("GET", "/stripe/v1/payment_intents"): None,
    ("GET", "/stripe/v1/payment_intents/{intent}"): None,
    ("POST", "/stripe/v1/payment_intents/{intent}"): {"description": "mine now"},
    ("POST", "/stripe/v1/payment_intents/{intent}/confirm"): {},
    ("POST", "/stripe/v1/payment_intents/{intent}/capture"): {},
    ("POST", "/stripe/v1/payment_intents/{intent}/cancel"): {},
    ("GET", "/stripe/v1/charges"): None,
    ("GET", "/stripe/v1/charges/{charge}"): None,
    ("POST", "/stripe/v1/refunds"): {"payment_intent": "pi_00000000000000000000000000"},
    ("GET", "/stripe/v1/refunds"): None,
    ("GET", "/stripe/v1/refunds/{refund}"): None,
    ("POST", "/stripe/v1/refunds/{refund}"): {"metadata[whose]": "mine"},
    ("POST", "/stripe/v1/refunds/{refund}/cancel"): {},
    ("POST", "/stripe/v1/payment_methods"): {"type": "card", "card[token]": "tok_visa"},
    ("GET", "/stripe/v1/payment_methods"): None,
    ("GET", "/stripe/v1/customers/{customer}/payment_methods"): None,
    ("GET", "/stripe/v1/payment_methods/{method}"): None,
    ("POST", "/stripe/v1/payment_methods/{method}"): {"metadata[whose]": "mine"},
    ("POST", "/stripe/v1/payment_methods/{method}/attach"): {"customer": "OWN CUSTOMER"},
    ("POST", "/stripe/v1/payment_methods/{method}/detach"): {},
    ("POST", "/stripe/v1/customers"): {"name": "Eve"},
    ("GET", "/stripe/v1/customers"): None,
    ("GET", "/stripe/v1/customers/{customer}"): None,
    ("POST", "/stripe/v1/customers/{customer}"): {"name": "Eve"},
    ("DELETE", "/stripe/v1/customers/{customer}"): None,
    ("POST", "/stripe/v1/setup_intents"): {},
    ("GET", "/stripe/v1/setup_intents"): None,
    ("GET", "/stripe/v1/setup_intents/{setup}"): None,
    ("POST", "/stripe/v1/setup_intents/{setup}"): {"description": "mine now"},
    ("POST", "/stripe/v1/setup_intents/{setup}/confirm"): {"payment_method": "pm_card_visa"},
    ("POST", "/stripe/v1/setup_intents/{setup}/cancel"): {},
    ("GET", "/stripe/v1/events"): None,
    ("GET", "/stripe/v1/events/{event}"): None,
    ("POST", "/stripe/v1/webhook_endpoints"): {"url": "http://127.0.0.1:9/hook", "enabled_events[0]": "*"},
    ("GET", "/stripe/v1/webhook_endpoints"): None,
    ("GET", "/stripe/v1/webhook_endpoints/{endpoint}"): None,
    ("POST", "/stripe/v1/webhook_endpoints/{endpoint}"): {"disabled": "true"},
    ("DELETE", "/stripe/v1/webhook_endpoints/{endpoint}"): None,
    ("GET", "/stripe/v1/balance"): None,
    ("GET", "/stripe/v1/balance_transactions"): None,
    ("GET", "/stripe/v1/balance_transactions/{transaction}"): None,
    ("POST", "/stripe/v1/payouts"): {"amount": 1, "currency": "eur", "destination": "ba_pays"},
    ("GET", "/stripe/v1/payouts"): None,
    ("GET", "/stripe/v1/payouts/{payout}"): None,
    ("POST", "/stripe/v1/payouts/{payout}/cancel"): {},
    ("POST", "/stripe/v1/payouts/{payout}/reverse"): {},
    ("GET", "/stripe/v1/disputes"): None,
    ("GET", "/stripe/v1/disputes/{dispute}"): None,
    ("POST", "/stripe/v1/disputes/{dispute}"): {"evidence[uncategorized_text]": "mine"},
    ("POST", "/stripe/v1/disputes/{dispute}/close"): {},
}
# Not a merchant's: (method, path) -> who may.
OTHERS = {
    ("POST", "/v1/merchants"): "administrator",
    ("GET", "/v1/merchants"): "administrator",
    ("GET", "/v1/merchants/{merchant_id}"): "administrator",
    ("PATCH", "/v1/merchants/{merchant_id}"): "administrator",
    ("POST", "/v1/merchants/{merchant_id}/disable"): "administrator",
    ("POST", "/v1/merchants/{merchant_id}/enable"): "administrator",
    ("GET", "/v1/merchants/{merchant_id}/terms"): "administrator",
    ("POST", "/v1/merchants/{merchant_id}/api-keys"): "administrator",
    ("GET", "/v1/merchants/{merchant_id}/api-keys"): "administrator",
    ("POST", "/v1/merchants/{merchant_id}/api-keys/{key_id}/revoke"): "administrator",
    ("GET", "/v1/admin/audit-log"): "administrator",
    ("GET", "/v1/admin/erasures"): "administrator",
    ("GET", "/v1/admin/erasures/{erasure_id}"): "administrator",
    ("POST", "/v1/admin/erasures/{erasure_id}/report"): "administrator",
    ("POST", "/v1/admin/suspense"): "administrator",
    ("GET", "/v1/admin/suspense"): "administrator",
    ("POST", "/v1/admin/suspense/{item_id}/resolve"): "administrator",
    ("PUT", "/v1/merchants/{merchant_id}/terms"): "administrator",
    ("GET", "/v1/ledger/verification"): "administrator",
    ("GET", "/internal/events"): "services",
    ("GET", "/internal/ledger/balances"): "services",
    ("GET", "/internal/ledger/journals/{journal_id}"): "services",
    ("GET", "/internal/ledger/totals"): "services",
    ("GET", "/internal/payments/{payment_id}"): "services",
    ("POST", "/internal/payments/search"): "services",
    ("POST", "/internal/payments/{payment_id}/capture"): "services",
    ("POST", "/internal/payments/{payment_id}/refunds"): "services",
    ("POST", "/internal/payments/{payment_id}/void"): "services",
    ("GET", "/internal/webhook-deliveries"): "services",
    ("POST", "/internal/webhook-deliveries/replay"): "services",
    ("GET", "/internal/webhook-endpoints"): "services",
    ("GET", "/internal/webhook-endpoints/{endpoint_id}"): "services",
    ("GET", "/health/live"): "everyone",
    ("GET", "/health/ready"): "everyone",
    ("GET", "/health/startup"): "everyone",
    ("GET", "/version"): "everyone",
}
# References in bodies and queries: what one's own object is told to use of the other merchant's.
CROSSINGS = {
    "an erasure of their customer": ("POST", "/v1/erasures", {"customer_id": "{customer_id}"}),
    "an erasure of their payer": ("POST", "/v1/erasures", {"payment_id": "{payment_id}"}),
    "a payment for their customer": ("POST", "/v1/payments", a_sale() | {"customer_id": "{customer_id}"}),
    "a payment by their method": (
        "POST",
        "/v1/payments",
        {"amount_minor": 1, "currency": "EUR", "payment_method": "{payment_method_id}"},
    ),
    "a replay to their endpoint": ("POST", "/v1/webhook-deliveries/replay", {"endpoint_id": "{endpoint_id}"}),
    "a refund of their intent": ("POST", "/stripe/v1/refunds", {"payment_intent": "{stripe:intent}"}),
    "a refund of their charge": ("POST", "/stripe/v1/refunds", {"charge": "{stripe:charge}"}),
    "an intent for their customer": (
        "POST",
        "/stripe/v1/payment_intents",
        {"amount": 100, "currency": "eur", "customer": "{stripe:customer}"},
    ),
    "a setup for their customer": ("POST", "/stripe/v1/setup_intents", {"customer": "{stripe:customer}"}),
    "their events as a cursor": ("GET", "/v1/events?after={event_id}", None),
}


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    access._cache.clear()


def test_every_operation_has_a_row() -> None:
    """A new route is refused here until it says how another merchant would try it."""
    assert {(method, path) for method, path, _ in merchant_routes()} == set(ROWS)


async def test_every_documented_operation_is_somebodys(gateway: RunningGateway) -> None:
    documented = (await gateway.call("GET", "/openapi.json")).body["paths"]
    found = {(method.upper(), path) for path, methods in documented.items() for method in methods}
    native = {row for row in ROWS if row[1].startswith("/v1/")}
    assert found == native | set(OTHERS)


async def send(
    gateway: RunningGateway, row: tuple[str, str], ids: dict[str, str], token: str, own: str = "", **more: Any
) -> Reply:
    """The request of a row, its path filled with `ids`."""
    method, path = row
    names = "stripe:{}" if path.startswith("/stripe/") else "{}"
    filled = re.sub(r"{(\w+)}", lambda found: ids[names.format(found[1])], path)
    query = "?currency=EUR" if "/ledger/accounts/{name}/" in path else ""
    query = f"?event_id={ids['event_id']}" if path == "/v1/webhook-deliveries" else query
    body = {k: own if v == "OWN CUSTOMER" else v for k, v in (ROWS[row] or {}).items()}
    return await call(
        gateway,
        method,
        filled + query,
        None if ROWS[row] is None and method != "POST" else body,
        token,
        **more,
    )


async def call(
    gateway: RunningGateway, method: str, path: str, body: dict[str, Any] | None, token: str, **more: Any
) -> Reply:
    headers = more.pop("headers", {})
    if body is None:
        return await gateway.call(method, path, token=token, headers=headers)
    if path.startswith("/stripe/"):
        return await gateway.call(
            method, path, token=token, raw=urlencode(body).encode(), headers=FORM | headers
        )
    headers = {"Idempotency-Key": f"matrix-{method}-{path}-{token[-6:]}"} | headers
    return await gateway.call(method, path, token=token, raw=orjson.dumps(body), headers=headers)


def told(reply: Reply, *ids: str) -> tuple[int, bytes, str | None]:
    """What a client learns from a reply, but for what differs in any two: the ids that it sent, and the request's."""
    raw = re.sub(rb'"(instance|request_id)":"[^"]*"', b"", reply.raw)
    for one in ids:
        raw = raw.replace(one.encode(), b"ID")
    return reply.status, raw, reply.headers.get("WWW-Authenticate")


async def test_another_merchants_objects_are_told_apart_from_absent_ones_by_nothing(
    gateway: RunningGateway,
) -> None:
    theirs = await furnish(gateway)
    nobodys = {name: absent(one) for name, one in theirs.items()}
    _, token = await gateway.new_merchant()
    customer = (await call(gateway, "POST", "/v1/customers", {"name": "Eve"}, token)).body["id"]
    before = await snapshot(gateway)
    named = [row for row in ROWS if "{" in row[1]]
    wrong = {}
    for row in named:
        taken = told(await send(gateway, row, theirs, token, customer), *theirs.values())
        missing = told(await send(gateway, row, nobodys, token, customer), *nobodys.values())
        if taken != missing or taken[0] != 404:
            wrong[row] = (taken, missing)
    assert wrong == {}
    for name, (method, path, body) in CROSSINGS.items():
        replies = [
            told(await call(gateway, method, fill(path, ids), fill(body, ids), token), *ids.values())
            for ids in (theirs, nobodys)
        ]
        assert replies[0] == replies[1], name
        assert 400 <= replies[0][0] < 500, name
    assert await snapshot(gateway) == before


def fill(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: fill(one, ids) for name, one in value.items()}
    if isinstance(value, str):
        return re.sub(r"{([\w:]+)}", lambda found: ids[found[1]], value)
    return value


async def snapshot(gateway: RunningGateway) -> dict[str, Any]:
    """All rows of the furnished merchant, whatever reads them."""
    found = {}
    async with gateway.deps.engine.connect() as connection:
        for table in ("payment", "refund", "customer", "payment_method", "setup_intent", "dispute", "payout",
                      "webhook_endpoint", "api_key", "erasure"):  # fmt: skip
            rows = f"SELECT t::text AS row FROM payments.{table} t WHERE merchant_id = :id"
            statement = f"SELECT md5(string_agg(row, '' ORDER BY row)) FROM ({rows}) AS theirs"
            found[table] = await connection.scalar(text(statement), {"id": gateway.merchant_id})
        for table in ("transfer", "webhook_delivery"):
            found[table] = await connection.scalar(text(f"SELECT count(*) FROM payments.{table}"))
    return found


async def test_lists_show_nothing_of_another_merchants(gateway: RunningGateway) -> None:
    theirs = await furnish(gateway)
    _, token = await gateway.new_merchant()
    for row in ROWS:
        if row[0] == "GET" and "{" not in row[1]:
            reply = await send(gateway, row, theirs, token)
            assert reply.status in (200, 404), row
            shown = [one for one in theirs.values() if one != "savings" and one.encode() in reply.raw]
            assert shown == [], row


async def test_no_key_and_wrong_ones_are_refused_alike_everywhere_and_only_its_holder_is_told_that_one_ended(
    gateway: RunningGateway,
) -> None:
    ended = (await gateway.call("POST", "/v1/api-keys", raw=b"{}")).body
    await gateway.call("POST", f"/v1/api-keys/{ended['id']}/revoke")
    holders = f"Bearer {ended['api_key']}"
    ids = dict.fromkeys(
        [name for _, path in ROWS for name in re.findall(r"{(\w+)}", path)], "x_00000000000000000000000000"
    )
    ids |= {f"stripe:{name}": one for name, one in ids.items()}
    before = await gateway.rows()
    for row in ROWS:
        replies = {
            key: told(
                await send(gateway, row, ids | {"event_id": "evt_0"}, "-", headers={"Authorization": key})
            )
            for key in ("", "Bearer sk_test_garbage", f"Bearer {ADMIN}", holders)
        }
        status, body, challenge = replies.pop(holders)
        assert b"This key ended at" in body, row
        assert len(set(replies.values())) == 1, row
        assert (status, challenge) == (401, "Bearer"), row
        assert {(status, challenge) for status, _, challenge in replies.values()} == {(401, "Bearer")}, row
    for (method, path), who in OTHERS.items():
        if who != "everyone":
            reply = await gateway.call(method, path.replace("{merchant_id}", gateway.merchant_id), raw=b"{}")
            assert reply.status == 401, path
    assert await gateway.rows() == before


async def test_every_read_of_a_merchant_is_done_as_that_merchant(gateway: RunningGateway) -> None:
    """Postgres is asked under the tenant's role, whatever the statement says: see tests/store/test_tenancy.py."""
    ids = await furnish(gateway)
    statements: list[str] = []
    standing: set[asyncio.Task[Any]] = (
        set()
    )  # who was at work before the request: routing's rates, uses of keys

    def note(statement: str) -> None:
        if asyncio.current_task() not in standing:
            statements.append(statement)

    engine = gateway.deps.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *call: note(call[2]))
    event.listen(engine, "begin", lambda *_: note("BEGIN"))
    become = str(BECOME.compile(dialect=engine.dialect))
    for row in ROWS:
        if row[0] == "GET":
            await send(gateway, row, ids, gateway.key)  # the key is looked up once a second, as nobody
            standing.update(asyncio.all_tasks())
            statements.clear()
            reply = await send(gateway, row, ids, gateway.key)
            assert reply.status == 200, (row, reply.raw)
            begun = [statements[n + 1] for n, one in enumerate(statements) if one == "BEGIN"]
            assert begun, row
            assert {one for one in begun if "k.key_hash = " not in one} == {become}, row
