"""A merchant takes money, in one step or in two, and gives it back."""

from typing import Any


async def test_a_payment_is_captured_at_once_and_refunded_in_full(merchant: Any) -> None:
    paid = await merchant.pay(amount_minor=1250, reference="order-1001")
    assert paid.status == 201
    assert paid.body["status"] == "captured"
    assert paid.body["captured_minor"] == 1250

    refund = await merchant.post(f"/v1/payments/{paid.body['id']}/refunds", {"reason": "returned"})
    assert refund.status == 201
    assert refund.body["amount_minor"] == 1250

    payment = await merchant.payment(paid.body["id"])
    assert payment["refunded_minor"] == 1250


async def test_a_hold_is_captured_later_in_part(merchant: Any) -> None:
    held = await merchant.pay(amount_minor=2900, capture="manual")
    assert held.body["status"] == "authorised"
    assert held.body["captured_minor"] == 0

    captured = await merchant.post(f"/v1/payments/{held.body['id']}/capture", {"amount_minor": 1900})
    assert captured.status == 200, captured.raw
    assert captured.body["captured_minor"] == 1900


async def test_a_hold_is_given_up(merchant: Any) -> None:
    held = await merchant.pay(amount_minor=2900, capture="manual")
    voided = await merchant.post(f"/v1/payments/{held.body['id']}/void", {})
    assert voided.status == 200, voided.raw
    assert voided.body["status"] == "voided"

    late = await merchant.post(f"/v1/payments/{held.body['id']}/capture", {})
    assert (late.status, late.problem) == (409, "invalid-state")


async def test_more_than_is_held_is_not_captured(merchant: Any) -> None:
    held = await merchant.pay(amount_minor=2900, capture="manual")
    too_much = await merchant.post(f"/v1/payments/{held.body['id']}/capture", {"amount_minor": 2901})
    assert (too_much.status, too_much.problem) == (422, "amount-exceeds-remaining")
    assert (await merchant.payment(held.body["id"]))["captured_minor"] == 0


async def test_payments_are_listed_newest_first_page_by_page(merchant: Any) -> None:
    made = [(await merchant.pay(reference=f"order-{number}")).body["id"] for number in range(5)]
    first = (await merchant.get("/v1/payments", limit="3")).body
    second = (await merchant.get("/v1/payments", limit="3", cursor=first["next_cursor"])).body
    assert [payment["id"] for payment in first["data"] + second["data"]] == made[::-1]
    assert second["next_cursor"] is None


async def test_a_merchant_does_not_see_another_ones_payment(merchant: Any, admin: Any) -> None:
    paid = await merchant.pay()
    reply = await admin.post("/v1/merchants", {"name": "Somebody else", "country": "FR"})
    stranger = type(merchant)(merchant.session, merchant.base_url, reply.body["api_key"])
    assert (await stranger.get(f"/v1/payments/{paid.body['id']}")).status == 404
    assert (await stranger.post(f"/v1/payments/{paid.body['id']}/refunds", {})).status == 404
