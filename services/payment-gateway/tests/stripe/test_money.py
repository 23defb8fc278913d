"""The official client on balances, payouts and disputes."""

from __future__ import annotations

import pytest
import stripe
from money_rig import disputed, funded, ready
from stripe_rig import Shop


async def test_the_balance_and_what_it_consists_of(shop: Shop) -> None:
    await funded(shop.gateway, 5_000)
    await shop.intent(amount=700)
    balance = await shop.do(lambda c: c.v1.balance.retrieve())
    assert [(one.amount, one.currency) for one in balance.available] == [(5_000, "eur")]
    assert [(one.amount, one.currency) for one in balance.pending] == [(700, "eur")]
    lines = await shop.do(lambda c: list(c.v1.balance_transactions.list({"limit": 2}).auto_paging_iter()))
    assert [(line.type, line.amount) for line in lines if line.type == "charge"] == [
        ("charge", 700), ("charge", 5_000),
    ]  # fmt: skip
    oldest = lines[-1].id
    back = await shop.do(
        lambda c: list(
            c.v1.balance_transactions.list({"limit": 1, "ending_before": oldest}).auto_paging_iter()
        )
    )
    assert [line.id for line in back] == [line.id for line in lines[:-1]][::-1], "the other way, all of them"
    one = await shop.do(lambda c: c.v1.balance_transactions.retrieve(lines[0].id))
    assert (one.id, one.net) == (lines[0].id, lines[0].net)


async def test_a_payout_takes_from_what_is_available_and_may_be_cancelled(shop: Shop) -> None:
    await funded(shop.gateway, 5_000, payout_destination="ba_pays")
    payout = await shop.do(lambda c: c.v1.payouts.create({"amount": 4_000, "currency": "eur"}))
    assert (payout.status, payout.amount, payout.destination) == ("pending", 4_000, "ba_pays")
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.do(lambda c: c.v1.payouts.create({"amount": 2_000, "currency": "eur"}))
    assert refused.value.code == "balance_insufficient"
    cancelled = await shop.do(lambda c: c.v1.payouts.cancel(payout.id))
    assert cancelled.status == "canceled"
    with pytest.raises(stripe.InvalidRequestError):
        await shop.do(lambda c: c.v1.payouts.reverse(payout.id))
    listed = await shop.do(lambda c: c.v1.payouts.list())
    assert [one.id for one in listed.data] == [payout.id]
    balance = await shop.do(lambda c: c.v1.balance.retrieve())
    assert balance.available[0].amount == 5_000


async def test_a_dispute_is_answered_with_evidence_or_given_up(shop: Shop) -> None:
    card = {"type": "card", "card": {"token": "tok_dispute"}}
    intents = [await shop.intent(payment_method=None, payment_method_data=card) for _ in range(2)]
    for intent in intents:
        payment_id = f"pay_{intent.id[3:]}"
        await ready(shop.gateway, payment_id)
        await disputed(shop.gateway, payment_id)
    first, second = (await shop.do(lambda c: c.v1.disputes.list())).data
    assert (first.status, first.payment_intent) == ("needs_response", intents[1].id)
    saved = await shop.do(
        lambda c: c.v1.disputes.update(first.id, {"evidence": {"customer_name": "Ada"}, "submit": False})
    )
    assert (saved.status, saved.evidence["customer_name"]) == ("needs_response", "Ada")
    sent = await shop.do(
        lambda c: c.v1.disputes.update(first.id, {"evidence": {"uncategorized_text": "Signed."}})
    )
    assert sent.status == "under_review"
    lost = await shop.do(lambda c: c.v1.disputes.close(second.id))
    assert lost.status == "lost"
    charge = await shop.do(lambda c: c.v1.charges.retrieve(str(lost.charge)))
    assert charge.disputed is True
    with pytest.raises(stripe.InvalidRequestError):
        await shop.do(lambda c: c.v1.refunds.create({"charge": str(lost.charge)}))
