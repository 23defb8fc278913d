"""What happened, in order, for a merchant that would rather ask than be told."""

from typing import Any


async def all_events(merchant: Any, page: str = "2") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        params = {"limit": page, **({"after": found[-1]["id"]} if found else {})}
        data = (await merchant.get("/v1/events", **params)).body["data"]
        if not data:
            return found
        found += data


async def test_a_payment_and_its_refund_tell_their_story_once(merchant: Any, eventually: Any) -> None:
    paid = (await merchant.pay()).body
    await merchant.post(f"/v1/payments/{paid['id']}/refunds", {})

    async def refunded() -> list[dict[str, Any]]:
        events = await all_events(merchant)
        return events if any(event["type"] == "refund.succeeded.v1" for event in events) else []

    events = await eventually(refunded, "the refund's event did not come")
    types = [event["type"] for event in events]
    assert (
        types.index("payment.created.v1")
        < types.index("payment.captured.v1")
        < types.index("refund.succeeded.v1")
    )
    assert len({event["id"] for event in events}) == len(events)
    assert all("position" not in event for event in events)
    assert {event["merchant_id"] for event in events} == {paid["merchant_id"]}


async def test_a_merchant_sees_its_own_events_only(merchant: Any, admin: Any) -> None:
    await merchant.pay()
    other = await admin.post("/v1/merchants", {"name": "Somebody else", "country": "FR"})
    stranger = type(merchant)(merchant.session, merchant.base_url, other.body["api_key"])
    assert await all_events(stranger) == []
