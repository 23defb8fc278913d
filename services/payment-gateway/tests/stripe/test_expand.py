"""`expand`: the official client gets whole objects where it asks for them, and a refusal before anything is charged."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import stripe
from money_rig import disputed, ready
from stripe_rig import Shop

from payment_gateway.api.stripe import expand


async def a_customer_with_a_card(shop: Shop) -> tuple[stripe.Customer, stripe.PaymentMethod]:
    customer = await shop.do(lambda c: c.v1.customers.create({"name": "Ada", "email": "ada@example.org"}))
    method = await shop.do(lambda c: c.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id}))
    return customer, method


async def test_an_intent_is_shown_with_its_charge_customer_and_method(shop: Shop) -> None:
    customer, method = await a_customer_with_a_card(shop)
    intent = await shop.intent(
        customer=customer.id,
        payment_method=method.id,
        expand=["latest_charge.balance_transaction", "customer", "payment_method.customer"],
    )
    assert (intent.latest_charge.object, intent.latest_charge.amount_captured) == ("charge", 1250)
    assert (intent.customer.name, intent.customer.email) == ("Ada", "ada@example.org"), "opened, not sealed"
    assert (intent.payment_method.card.last4, intent.payment_method.customer.id) == ("4242", customer.id)
    line = intent.latest_charge.balance_transaction
    assert (line.type, line.amount, line.source) == ("charge", 1250, f"ch_{intent.id[3:]}")
    plain = await shop.do(lambda c: c.v1.payment_intents.retrieve(intent.id))
    assert (plain.customer, plain.latest_charge) == (customer.id, f"ch_{intent.id[3:]}")


async def test_what_was_expanded_is_expanded_further(shop: Shop) -> None:
    customer, method = await a_customer_with_a_card(shop)
    intent = await shop.intent(
        customer=customer.id, payment_method=method.id, expand=["latest_charge.customer"]
    )
    assert intent.latest_charge.customer.email == "ada@example.org"
    refund = await shop.do(
        lambda c: c.v1.refunds.create(
            {"payment_intent": intent.id, "expand": ["payment_intent.customer", "charge.customer"]}
        )
    )
    assert (refund.payment_intent.customer.name, refund.charge.customer.id) == ("Ada", customer.id)


async def test_a_look_up_that_fails_does_not_turn_a_charge_into_an_error(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is told of an error charges again; who reads may be told."""

    async def fails(*_: object) -> None:
        raise TimeoutError("no connection is free")

    monkeypatch.setitem(expand._READ, "charge", fails)  # type: ignore[index]
    intent = await shop.intent(expand=["latest_charge"])
    assert (intent.status, intent.latest_charge) == ("succeeded", f"ch_{intent.id[3:]}")
    with pytest.raises(stripe.APIError):
        await shop.do(lambda c: c.v1.payment_intents.retrieve(intent.id, {"expand": ["latest_charge"]}))


async def test_each_object_of_a_list_is_expanded_and_pages_go_on(shop: Shop) -> None:
    made = [await shop.intent(amount=100 + n) for n in range(3)]
    listed = await shop.do(
        lambda c: list(
            c.v1.payment_intents.list({"limit": 2, "expand": ["data.latest_charge"]}).auto_paging_iter()
        )
    )
    assert [(one.id, one.latest_charge.amount) for one in listed] == [
        (one.id, one.amount) for one in made[::-1]
    ]


async def test_refunds_and_disputes_name_their_charge_and_intent(shop: Shop) -> None:
    card = {"type": "card", "card": {"token": "tok_dispute"}}
    intent = await shop.intent(payment_method=None, payment_method_data=card)
    await ready(shop.gateway, f"pay_{intent.id[3:]}")
    await disputed(shop.gateway, f"pay_{intent.id[3:]}")
    (dispute,) = (
        await shop.do(lambda c: c.v1.disputes.list({"expand": ["data.charge.payment_intent"]}))
    ).data
    assert (dispute.charge.disputed, dispute.charge.payment_intent.id) == (True, intent.id)
    other = await shop.intent()
    refund = await shop.do(
        lambda c: c.v1.refunds.create({"payment_intent": other.id, "expand": ["payment_intent", "charge"]})
    )
    assert (refund.payment_intent.status, refund.charge.amount_refunded) == ("succeeded", 1250)


@pytest.mark.parametrize(
    "wanted", [["flavour"], ["latest_charge.flavour"], ["Ünknown"], ["data.customer"], ["amount"]]
)
async def test_what_cannot_be_expanded_is_refused_before_anything_is_charged(
    shop: Shop, wanted: list[str]
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.intent(expand=wanted)
    assert refused.value.param == "expand"
    assert await shop.charges() == []
    with pytest.raises(stripe.InvalidRequestError, match=r"begins with `data\.`"):
        await shop.do(lambda c: c.v1.payment_intents.list({"expand": ["latest_charge"]}))


async def test_what_is_not_kept_or_gone_stays_as_it_is_named(shop: Shop) -> None:
    customer, method = await a_customer_with_a_card(shop)
    intent = await shop.intent(customer=customer.id, payment_method=method.id)
    await shop.do(lambda c: c.v1.customers.delete(customer.id))
    gone = await shop.do(lambda c: c.v1.payment_intents.retrieve(intent.id, {"expand": ["customer"]}))
    assert not isinstance(gone.customer, stripe.Customer)
    inline = await shop.intent(expand=["payment_method"])
    assert inline.payment_method == "tok_visa"


async def test_a_key_sees_no_more_by_expanding_than_it_may_read(shop: Shop) -> None:
    customer, method = await a_customer_with_a_card(shop)
    intent = await shop.intent(customer=customer.id, payment_method=method.id)
    body = json.dumps({"name": "tills", "scopes": ["payments:read"]}).encode()
    made = await shop.gateway.call("POST", "/v1/api-keys", raw=body)
    limited = stripe.StripeClient(
        made.body["api_key"], base_addresses={"api": f"{shop.gateway.url}/stripe"}, max_network_retries=0
    )
    paths = ["customer", "latest_charge.balance_transaction"]
    read = await asyncio.to_thread(lambda: limited.v1.payment_intents.retrieve(intent.id, {"expand": paths}))
    assert (read.customer, read.latest_charge.balance_transaction) == (customer.id, None)


async def test_a_page_looks_up_as_many_objects_as_it_may_and_is_refused_before_the_first(shop: Shop) -> None:
    names = [
        "data.customer",
        "data.payment_method.customer",
        "data.latest_charge.balance_transaction",
        "data.latest_charge.customer",
    ]
    asked: dict[str, Any] = {
        "limit": 66,
        "expand": names,
    }  # six a row: what is in two names is looked up once
    assert (await shop.do(lambda c: c.v1.payment_intents.list(asked))).data == []
    with pytest.raises(stripe.InvalidRequestError, match="a limit of at most 66, or expand less") as refused:
        await shop.do(lambda c: c.v1.payment_intents.list(asked | {"limit": 67}))
    assert refused.value.param == "expand"
