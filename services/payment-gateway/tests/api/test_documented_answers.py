"""Real answers against the document, with members that it does not name refused: a new one must be documented."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from gateway_rig import ADMIN, Reply, RunningGateway, a_sale
from jsonschema import Draft202012Validator
from money_rig import disputed, funded, operate, ready
from sqlalchemy import text

from payment_gateway.operations.erase_subjects import erase_subjects

CARD = {
    "type": "card",
    "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2030, "cvc": "123"},
}


class Documented:
    """Calls the gateway, and holds each answer to what its document says of this operation and status."""

    def __init__(self, gateway: RunningGateway, document: dict[str, Any]) -> None:
        self._gateway = gateway
        self._document = _closed(document)

    async def get(self, template: str, *, token: str | None = None, query: str = "", **ids: str) -> Any:
        reply = await self._gateway.call("GET", template.format(**ids) + query, token=token)
        return self._checked("get", template, reply)

    async def post(self, template: str, body: Any = None, *, token: str | None = None, **ids: str) -> Any:
        reply = await self._gateway.post(template.format(**ids), body, token=token)
        return self._checked("post", template, reply)

    async def send(
        self, method: str, template: str, body: Any, *, token: str | None = None, **ids: str
    ) -> Any:
        reply = await self._gateway.call(method, template.format(**ids), token=token, raw=orjson.dumps(body))
        return self._checked(method.lower(), template, reply)

    def _checked(self, method: str, template: str, reply: Reply) -> Any:
        responses = self._document["paths"][template][method]["responses"]
        assert str(reply.status) in responses, (method, template, reply.raw)
        content = responses[str(reply.status)]["content"]
        schema = content[reply.headers["Content-Type"].partition(";")[0]]["schema"]
        faults = Draft202012Validator(schema | {"components": self._document["components"]}).iter_errors(
            reply.body
        )
        assert [fault.message for fault in faults] == [], (method, template, reply.raw)
        return reply.body


@pytest.fixture
async def api(gateway: RunningGateway) -> Documented:
    return Documented(gateway, (await gateway.call("GET", "/openapi.json")).body)


async def test_payments_and_refunds_are_as_documented(api: Documented) -> None:
    held = await api.post("/v1/payments", a_sale(capture="manual", reference="order-1", metadata={"a": "b"}))
    pay = {"payment_id": held["id"]}
    await api.post("/v1/payments/{payment_id}", {"description": "two parcels"}, **pay)
    await api.post("/v1/payments/{payment_id}/capture", {"amount_minor": 1000}, **pay)
    await api.post("/v1/payments/{payment_id}/refunds", {"amount_minor": 300, "reason": "late"}, **pay)
    too_much = await api.post("/v1/payments/{payment_id}/refunds", {"amount_minor": 5000}, **pay)
    assert too_much["type"] == "/problems/amount-exceeds-remaining"
    await api.post("/v1/payments/{payment_id}/void", **pay)
    again = await api.post("/v1/payments/{payment_id}/confirm", **pay)
    assert again["type"] == "/problems/invalid-state"
    await api.get("/v1/payments/{payment_id}", **pay)
    refunds = await api.get("/v1/payments/{payment_id}/refunds", **pay)
    await api.get("/v1/refunds/{refund_id}", refund_id=refunds["data"][0]["id"])
    await api.get("/v1/refunds", query="?limit=1")
    await api.get("/v1/payments", query="?limit=1")
    challenge = await api.post("/v1/payments", a_sale("tok_3ds_challenge"))
    assert challenge["status"] == "requires_action"
    await api.post("/v1/payments/{payment_id}/cancel", payment_id=challenge["id"])
    await api.post("/v1/idempotency-keys/cancel", {"key": "never-came"})
    assert (await api.post("/v1/payments", {"nonsense": 1}))["errors"]


async def test_erasures_are_as_documented(api: Documented, gateway: RunningGateway) -> None:
    await api.post("/v1/payments", a_sale(customer={"id": "ada-17", "email": "ada@example.com"}))
    asked = await api.post("/v1/erasures", {"customer": "ada-17"})
    one = {"erasure_id": asked["id"]}
    await api.get("/v1/erasures/{erasure_id}", **one)
    await api.get("/v1/erasures")
    await api.get("/v1/admin/erasures", token=ADMIN)
    early = await api.get("/v1/admin/erasures/{erasure_id}", token=ADMIN, **one)
    assert early["type"] == "/problems/not-erased-yet"
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text("UPDATE payments.erasure SET due_at = now()"))
    await erase_subjects(gateway.deps)
    await api.get("/v1/admin/erasures/{erasure_id}", token=ADMIN, **one)
    place = {"place": "payments.payment", "read": 1, "values": 0, "tokens": 1}
    report = {"verdict": "clean", "scanned_at": "2026-11-27T12:00:00Z", "places": [place], "values_sought": 2}
    await api.post("/v1/admin/erasures/{erasure_id}/report", report, token=ADMIN, **one)


async def test_customers_and_their_cards_are_as_documented(api: Documented) -> None:
    customer = await api.post("/v1/customers", {"name": "Ada", "email": "ada@example.com"})
    saved = await api.post("/v1/payment-methods", CARD)
    method = {"payment_method_id": saved["id"]}
    await api.post("/v1/payment-methods/{payment_method_id}", {"metadata": {"a": "b"}}, **method)
    await api.post(
        "/v1/payment-methods/{payment_method_id}/attach", {"customer_id": customer["id"]}, **method
    )
    await api.get("/v1/payment-methods/{payment_method_id}", **method)
    await api.get("/v1/payment-methods")
    paid = await api.post(
        "/v1/payments", {"amount_minor": 5, "currency": "EUR", "payment_method": saved["id"]}
    )
    assert paid["status"] == "captured"
    await api.post("/v1/payment-methods/{payment_method_id}/detach", **method)
    person = {"customer_id": customer["id"]}
    await api.post("/v1/customers/{customer_id}", {"description": "a friend"}, **person)
    await api.get("/v1/customers/{customer_id}", **person)
    await api.get("/v1/customers")
    await api.send("DELETE", "/v1/customers/{customer_id}", {}, **person)


async def test_the_ledger_is_as_documented(api: Documented) -> None:
    for name in ("funding", "savings"):
        await api.post("/v1/ledger/accounts", {"name": name, "currency": "EUR"})
    await api.get("/v1/ledger/accounts")
    line = {"debit_account": "funding", "credit_account": "savings", "amount_minor": 5, "currency": "EUR"}
    moved = await api.post("/v1/ledger/transfers", line | {"description": "rent", "metadata": {"a": "b"}})
    await api.post("/v1/ledger/transfers", {"transfers": [line, line]})
    unknown = line | {"credit_account": "nowhere"}
    await api.post("/v1/ledger/transfers", {"linked": False, "transfers": [line, unknown]})
    for act in ("post", "void"):
        held = await api.post("/v1/ledger/transfers", line | {"pending": True, "expires_after_s": 60})
        await api.post(f"/v1/ledger/holds/{{hold_id}}/{act}", hold_id=held["hold"]["id"])
    await api.post(
        "/v1/ledger/journals/{journal_id}/reverse", {"reason": "a mistake"}, journal_id=moved["id"]
    )
    await api.get("/v1/ledger/journals/{journal_id}", journal_id=moved["id"])
    await api.get("/v1/ledger/transfers")
    await api.get("/v1/ledger/accounts/{name}/balance", query="?currency=EUR", name="savings")
    for listed in ("transfers", "holds"):
        await api.get(f"/v1/ledger/accounts/{{name}}/{listed}", query="?currency=EUR&limit=1", name="savings")
    await api.get("/v1/ledger/holds/{hold_id}", hold_id=held["hold"]["id"])
    await api.get("/v1/ledger/verification", token=ADMIN)


async def test_a_thousand_linked_transfers_fit_into_a_request(api: Documented) -> None:
    longest = {
        "debit_account": "f" * 64,
        "credit_account": "s" * 64,
        "amount_minor": 10**9,
        "currency": "EUR",
    }
    refused = await api.post("/v1/ledger/transfers", {"transfers": [longest] * 1000})
    assert refused["type"] == "/problems/unknown-account"


async def test_more_than_that_is_too_large_for_transfers_too(api: Documented) -> None:
    refused = await api.post("/v1/ledger/transfers", {"description": "x" * 256 * 1024})
    assert refused["type"] == "/problems/body-too-large"


async def test_what_is_wrong_with_a_transfer_is_named_by_its_members_alone(api: Documented) -> None:
    refused = await api.post("/v1/ledger/transfers", {"debit_account": "a"})
    assert {error["pointer"] for error in refused["errors"]} == {
        "/credit_account",
        "/amount_minor",
        "/currency",
    }
    refused = await api.post("/v1/ledger/transfers", {"transfers": [{}]})
    assert refused["errors"][0]["pointer"] == "/transfers/0/debit_account"
    refused = await api.post("/v1/ledger/transfers", {"linked": False, "transfers": [{}]})
    assert refused["errors"][0]["pointer"] == "/transfers/0/debit_account"


@pytest.mark.parametrize("bounds", [{"floor_minor": 1}, {"ceiling_minor": -1}])
async def test_an_account_that_would_open_outside_its_bounds_is_refused(
    api: Documented, bounds: dict[str, int]
) -> None:
    refused = await api.post("/v1/ledger/accounts", {"name": "a", "currency": "EUR"} | bounds)
    assert refused["status"] == 422


async def test_money_and_disputes_are_as_documented(api: Documented, gateway: RunningGateway) -> None:
    await funded(gateway, 10_000, reserve={"basis_points": 1000, "days": 30})
    await api.get("/v1/balance")
    await api.get("/v1/reserves")
    await api.get("/v1/balance-transactions")
    payout = await api.post("/v1/payouts", {"amount_minor": 100, "currency": "EUR", "destination": "ba_pays"})
    await api.get("/v1/payouts/{payout_id}", payout_id=payout["id"])
    await api.get("/v1/payouts")
    await api.post("/v1/payouts/{payout_id}/cancel", payout_id=payout["id"])
    terms = {"fee_plan": {"rules": [{"basis_points": 100}]}, "reserve": {"basis_points": 500, "days": 90}}
    await api.send(
        "PUT", "/v1/merchants/{merchant_id}/terms", terms, token=ADMIN, merchant_id=gateway.merchant_id
    )
    payment_id = await gateway.captured(1000)
    await operate(
        gateway, channel_key=await ready(gateway, payment_id), amount_minor=1000, reason="fraudulent"
    )
    dispute = await disputed(gateway, payment_id)
    await api.get("/v1/disputes")
    await api.get("/v1/disputes/{dispute_id}", dispute_id=dispute["id"])
    evidence = {"evidence": {"customer_communication": "It was signed for."}}
    await api.post("/v1/disputes/{dispute_id}/evidence", evidence, dispute_id=dispute["id"])
    await api.post("/v1/disputes/{dispute_id}/accept", dispute_id=dispute["id"])


async def test_keys_webhooks_and_events_are_as_documented(api: Documented) -> None:
    await api.send("POST", "/v1/merchants", {"name": "Shop", "country": "DE"}, token=ADMIN)
    key = await api.post("/v1/api-keys", {"name": "reports", "scopes": ["events:read"]})
    refused = await api.get("/v1/payments", token=key["api_key"])
    assert refused["type"] == "/problems/insufficient-scope"
    await api.post("/v1/api-keys/{key_id}/rotate", key_id=key["id"])
    await api.post("/v1/api-keys/{key_id}/revoke", key_id=key["id"])
    await api.get("/v1/api-keys")
    hook = await api.post("/v1/webhook-endpoints", {"url": "http://127.0.0.1:9/hook"})
    endpoint = {"endpoint_id": hook["id"]}
    await api.send("PATCH", "/v1/webhook-endpoints/{endpoint_id}", {"description": "till"}, **endpoint)
    await api.post("/v1/webhook-endpoints/{endpoint_id}/rotate-secret", **endpoint)
    ping = await api.post("/v1/webhook-endpoints/{endpoint_id}/test", **endpoint)
    await api.get("/v1/webhook-endpoints/{endpoint_id}", **endpoint)
    await api.get("/v1/webhook-endpoints/{endpoint_id}/public-keys", **endpoint)
    await api.get("/v1/webhook-endpoints")
    await api.get("/v1/webhook-deliveries", query=f"?endpoint_id={hook['id']}")
    await api.get("/v1/webhook-deliveries/{delivery_id}", delivery_id=ping["delivery_id"])
    await api.post("/v1/webhook-deliveries/replay", endpoint)
    await api.get("/v1/events")
    await api.get("/v1/events", query="?after=evt_00000000000000000000000000")
    nobody = await api.get("/v1/events", token="sk_test_nobody")
    assert nobody["status"] == 401


async def test_merchants_and_the_audit_log_are_as_documented(
    api: Documented, gateway: RunningGateway
) -> None:
    merchant = {"merchant_id": gateway.merchant_id}
    for path in ("/v1/merchants", "/v1/merchants/{merchant_id}", "/v1/merchants/{merchant_id}/terms"):
        await api.get(path, token=ADMIN, **merchant)
    await api.send("PATCH", "/v1/merchants/{merchant_id}", {"name": "Till"}, token=ADMIN, **merchant)
    for act in ("disable", "enable"):
        await api.send("POST", f"/v1/merchants/{{merchant_id}}/{act}", {}, token=ADMIN, **merchant)
    line = {"channel": "card_sim", "reference": "brk_1", "direction": "taken", "note": "?"}
    line |= {"amount_minor": 10, "currency": "EUR"}
    item = await api.send("POST", "/v1/admin/suspense", line, token=ADMIN)
    await api.send("POST", "/v1/admin/suspense", line | {"amount_minor": 11}, token=ADMIN)
    await api.get("/v1/admin/suspense", token=ADMIN)
    answer = {"to": "costs", "note": "a fee"}
    for _ in range(2):
        await api.send(
            "POST", "/v1/admin/suspense/{item_id}/resolve", answer, token=ADMIN, item_id=item["id"]
        )
    keys = "/v1/merchants/{merchant_id}/api-keys"
    made = await api.send("POST", keys, {"name": "again"}, token=ADMIN, **merchant)
    await api.get(keys, token=ADMIN, **merchant)
    await api.send("POST", f"{keys}/{{key_id}}/revoke", {}, token=ADMIN, key_id=made["id"], **merchant)
    await api.get("/v1/admin/audit-log", token=ADMIN)
    await api.get("/v1/audit-log")
    await api.get("/v1/merchant")
    await api.send("PATCH", "/v1/merchant", {"api_version": "2026-11-26"})


async def test_a_time_is_text_and_never_a_number(api: Documented) -> None:
    made = await api.post("/v1/api-keys", {"expires_at": 1_800_000_000_000})
    assert made["status"] == 422, "milliseconds would be believed"
    assert (await api.get("/v1/events", query="?occurred_to=0.5"))["status"] == 422


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/payments", "GET, POST"),
        ("/v1/customers/cus_1", "DELETE, GET, POST"),
        ("/v1/webhook-deliveries/replay", "POST"),
    ],
)
async def test_405_names_all_that_a_path_takes(gateway: RunningGateway, path: str, allowed: str) -> None:
    reply = await gateway.call("PUT", path)
    assert (reply.status, reply.headers["Allow"]) == (405, allowed)


def _closed(node: Any) -> Any:
    """The document with every object that names members closed to others; refusals may say more."""
    closed = copy.deepcopy(node)
    _close(closed)
    return closed


def _close(node: Any) -> None:
    if isinstance(node, dict):
        if node.get("type") == "object" and "required" in node and "title" not in node["properties"]:
            node.setdefault("additionalProperties", False)
        for value in node.values():
            _close(value)
    elif isinstance(node, list):
        for value in node:
            _close(value)
