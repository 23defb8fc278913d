"""Filters of the facade's lists: what is asked for is looked at, never left out in silence."""

from __future__ import annotations

import stripe
from money_rig import funded
from stripe_rig import Shop
from test_events import number
from webhook_rig import run_receiver


async def test_balance_transactions_of_one_charge_and_of_a_span_of_time(shop: Shop) -> None:
    await funded(shop.gateway, 5_000)
    intent = await shop.intent(amount=700)
    await shop.do(lambda c: c.v1.refunds.create({"payment_intent": intent.id, "amount": 200}))
    source = f"ch_{intent.id[3:]}"
    listed = await shop.do(
        lambda c: list(c.v1.balance_transactions.list({"source": source, "limit": 1}).auto_paging_iter())
    )
    assert [(one.type, one.amount) for one in listed] == [("refund", -200), ("charge", 700)]
    back = await shop.do(
        lambda c: list(
            c.v1.balance_transactions.list(
                {"source": source, "limit": 1, "ending_before": listed[-1].id}
            ).auto_paging_iter()
        )
    )
    assert [one.id for one in back] == [listed[0].id]
    at = listed[0].created
    for created, count in (({"gte": at}, 1), ({"gt": at + 60}, 0), ({"lte": at}, 1), ({"lt": at - 600}, 0)):
        everything = await shop.do(
            lambda c, created=created: c.v1.balance_transactions.list({"created": created, "limit": 1})
        )
        of_charge = await shop.do(
            lambda c, created=created: c.v1.balance_transactions.list(
                {"created": created, "source": source, "limit": 1}
            )
        )
        assert (len(everything.data), len(of_charge.data)) == (count, count), created
    other = await shop.do(lambda c: c.v1.balance_transactions.list({"source": "ch_none"}))
    assert other.data == []


async def test_payouts_by_status_and_destination(shop: Shop) -> None:
    await funded(shop.gateway, 5_000)
    made = [
        await shop.do(
            lambda c, to=to: c.v1.payouts.create(
                {
                    "amount": 100,
                    "currency": "eur",
                    "destination": to,
                    "metadata": {"to": to},
                    "description": to,
                }
            )
        )
        for to in ("ba_pays", "ba_other")
    ]
    await shop.do(lambda c: c.v1.payouts.cancel(made[0].id))
    assert (made[1].metadata.to_dict(), made[1].description) == ({"to": "ba_other"}, "ba_other")
    read = await shop.do(lambda c: c.v1.payouts.retrieve(made[0].id))
    assert (read.status, read.metadata.to_dict()) == ("canceled", {"to": "ba_pays"}), (
        "kept by what came after"
    )
    filters: list[tuple[stripe.params.PayoutListParams, list[str]]] = [
        ({"status": "canceled"}, [made[0].id]),
        ({"status": "pending"}, [made[1].id]),
        ({"status": "failed"}, []),
        ({"destination": "ba_pays"}, [made[0].id]),
        ({}, [made[1].id, made[0].id]),
    ]
    for wanted, expected in filters:
        found = await shop.do(lambda c, wanted=wanted: c.v1.payouts.list(wanted))
        assert [one.id for one in found.data] == expected, wanted


async def test_events_of_several_types(shop: Shop) -> None:
    intent = await shop.intent()
    await shop.do(lambda c: c.v1.refunds.create({"payment_intent": intent.id}))
    await number(shop)
    found = await shop.do(
        lambda c: c.v1.events.list({"types": ["payment_intent.succeeded", "refund.created"]})
    )
    assert [one.type for one in found.data] == ["refund.created", "payment_intent.succeeded"]


async def test_webhook_endpoints_of_a_span_of_time(shop: Shop) -> None:
    async with run_receiver() as receiver:
        made = await shop.do(
            lambda c: c.v1.webhook_endpoints.create({"url": f"{receiver.url}/a", "enabled_events": ["*"]})
        )
    for created, count in (({"gte": made.created}, 1), ({"lt": made.created}, 0)):
        found = await shop.do(
            lambda c, created=created: c.v1.webhook_endpoints.list({"created": created})  # type: ignore[typeddict-unknown-key]
        )
        assert len(found.data) == count, created
