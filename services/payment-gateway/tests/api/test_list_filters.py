"""What a merchant asks lists for every day: one customer's payments, yesterday's movements, refunds that failed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from gateway_rig import RunningGateway
from money_rig import disputed, funded


async def ids(gateway: RunningGateway, path: str, **query: Any) -> list[str]:
    """All of a list, two at a time."""
    found: list[str] = []
    cursor = None
    while True:
        wanted = query | {"limit": 2} | ({"cursor": cursor} if cursor else {})
        reply = await gateway.call("GET", path, params=wanted)
        assert reply.status == 200, reply.raw
        found += [one["id"] for one in reply.body["data"]]
        cursor = reply.body["next_cursor"]
        if cursor is None:
            return found


async def test_refunds_of_all_payments_are_listed_and_read_one_by_one(gateway: RunningGateway) -> None:
    first, second = await gateway.captured(), await gateway.captured()
    refused = str((await gateway.pay("tok_refund_declined")).body["id"])
    made = [
        (await gateway.post(f"/v1/payments/{payment}/refunds", {"amount_minor": 100})).body
        for payment in (first, first, second, refused)
    ]
    assert await ids(gateway, "/v1/refunds") == [one["id"] for one in made[::-1]]
    assert await ids(gateway, "/v1/refunds", payment_id=first) == [made[1]["id"], made[0]["id"]]
    assert await ids(gateway, "/v1/refunds", status="failed") == [made[3]["id"]]
    assert (made[3]["failure_code"], made[0]["failure_code"]) == ("refund_declined", None)
    read = await gateway.call("GET", f"/v1/refunds/{made[0]['id']}")
    assert (read.status, read.body) == (200, made[0])
    older = await gateway.call(
        "GET", f"/v1/refunds/{made[0]['id']}", headers={"Platform-Version": "2026-11-23"}
    )
    assert not {"metadata", "failure_code"} & set(older.body), "in the shape of its version, as everywhere"


async def test_what_is_not_final_says_where_to_ask(gateway: RunningGateway) -> None:
    lost = await gateway.pay("tok_reset")
    assert (lost.status, lost.headers["Location"]) == (202, f"/v1/payments/{lost.body['id']}")
    assert lost.headers["Retry-After"] == "1"
    payment = str((await gateway.pay("tok_refund_timeout")).body["id"])
    refund = await gateway.post(f"/v1/payments/{payment}/refunds")
    assert (refund.status, refund.headers["Location"]) == (202, f"/v1/refunds/{refund.body['id']}")
    asked = await gateway.call("GET", refund.headers["Location"])
    assert (asked.status, asked.body["status"]) == (200, "pending")
    final = await gateway.pay()
    assert "Location" not in final.headers


async def test_payments_of_one_customer(gateway: RunningGateway) -> None:
    customer = (await gateway.post("/v1/customers", {"name": "Ada"})).body["id"]
    mine = [(await gateway.pay(customer_id=customer)).body["id"] for _ in range(3)]
    await gateway.pay()
    assert await ids(gateway, "/v1/payments", customer_id=customer) == mine[::-1]
    assert await ids(gateway, "/v1/payments", customer_id=customer, status="declined") == []
    stranger = (await gateway.post("/v1/customers", {"name": "Eve"})).body["id"]
    assert await ids(gateway, "/v1/payments", customer_id=stranger) == []


async def test_everything_is_found_by_when_it_was_made(gateway: RunningGateway) -> None:
    await funded(gateway, 5_000)
    payment = str((await gateway.pay("tok_dispute")).body["id"])
    await disputed(gateway, payment)
    await gateway.post(f"/v1/payments/{await gateway.captured()}/refunds", {"amount_minor": 1})
    body = {"amount_minor": 10, "currency": "EUR", "destination": "ba_pays"}
    assert (await gateway.post("/v1/payouts", body)).status == 201
    for path in ("/v1/payments", "/v1/refunds", "/v1/disputes", "/v1/payouts", "/v1/balance-transactions"):
        everything = (await gateway.call("GET", path, params={"limit": 100})).body["data"]
        assert everything, path
        newest = datetime.fromisoformat(everything[0]["created_at"])
        after = (newest + timedelta(milliseconds=1)).isoformat()
        of_newest = [one["id"] for one in everything if one["created_at"] == everything[0]["created_at"]]
        assert await ids(gateway, path, created_from=newest.isoformat()) == of_newest, path
        assert await ids(gateway, path, created_from=after) == [], path
        all_ids = [one["id"] for one in everything]
        assert await ids(gateway, path, created_to=after) == all_ids, path
        earlier = await ids(gateway, path, created_to=newest.isoformat())
        assert earlier == all_ids[len(of_newest) :], path


async def test_disputes_and_payouts_by_status(gateway: RunningGateway) -> None:
    await funded(gateway, 5_000)
    dispute = await disputed(gateway, str((await gateway.pay("tok_dispute")).body["id"]))
    assert await ids(gateway, "/v1/disputes", status="needs_response") == [dispute["id"]]
    assert await ids(gateway, "/v1/disputes", status="won") == []
    body = {"amount_minor": 10, "currency": "EUR", "destination": "ba_pays"}
    payout = (await gateway.post("/v1/payouts", body)).body["id"]
    assert await ids(gateway, "/v1/payouts", status="pending") == [payout]
    assert await ids(gateway, "/v1/payouts", status="returned") == []


async def test_movements_of_one_payment(gateway: RunningGateway) -> None:
    payment, other = await gateway.captured(), await gateway.captured()
    await gateway.post(f"/v1/payments/{payment}/refunds", {"amount_minor": 1})
    await gateway.post(f"/v1/payments/{payment}/refunds", {"amount_minor": 2})
    everything = (await gateway.call("GET", "/v1/balance-transactions")).body["data"]
    of_one = [one["id"] for one in everything if one["payment_id"] == payment]
    assert len(of_one) == 3
    assert await ids(gateway, "/v1/balance-transactions", payment_id=payment) == of_one
    assert len(await ids(gateway, "/v1/balance-transactions", payment_id=other)) == 1
    assert await ids(gateway, "/v1/balance-transactions", payment_id=payment, currency="USD") == []


@pytest.mark.parametrize(
    "query", ["created_from=yesterday", "created_to=1764115200", "status=nonsense", "customer_id=Ada"]
)
async def test_a_filter_that_is_not_understood_is_refused_by_name(
    gateway: RunningGateway, query: str
) -> None:
    reply = await gateway.call("GET", f"/v1/payments?{query}")
    assert reply.status == 422
    assert query.partition("=")[0] in reply.body["errors"][0]["pointer"]


async def test_a_journal_is_read_by_its_id(gateway: RunningGateway) -> None:
    for name in ("a", "b"):
        await gateway.post("/v1/ledger/accounts", {"name": name, "currency": "EUR"})
    line = {"debit_account": "a", "credit_account": "b", "amount_minor": 7, "currency": "EUR"}
    moved = (await gateway.post("/v1/ledger/transfers", line | {"metadata": {"order": "1"}})).body["id"]
    both = (await gateway.post("/v1/ledger/transfers", {"transfers": [line, line]})).body["id"]
    back = await gateway.post(f"/v1/ledger/journals/{moved}/reverse", {"reason": "typo"})
    read = (await gateway.call("GET", f"/v1/ledger/journals/{moved}")).body
    assert (read["reversed_by"], read["reverses"]) == (back.body["id"], None)
    assert [one["amount_minor"] for one in read["transfers"]] == [7]
    assert read["transfers"][0]["metadata"] == {"order": "1"}
    assert len((await gateway.call("GET", f"/v1/ledger/journals/{both}")).body["transfers"]) == 2
    reversal = (await gateway.call("GET", f"/v1/ledger/journals/{back.body['id']}")).body
    assert (reversal["reverses"], reversal["transfers"][0]["reason"]) == (moved, "typo")
    _, stranger = await gateway.new_merchant()
    assert (await gateway.call("GET", f"/v1/ledger/journals/{moved}", token=stranger)).status == 404
