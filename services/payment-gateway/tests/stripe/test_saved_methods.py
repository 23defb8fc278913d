"""The official client on customers, payment methods and setup intents."""

from __future__ import annotations

import pytest
import stripe
from stripe_rig import Shop

CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "314"}


async def a_method(shop: Shop, number: str = "4242424242424242") -> stripe.PaymentMethod:
    card = CARD | {"number": number}
    return await shop.do(lambda c: c.v1.payment_methods.create({"type": "card", "card": card}))


async def a_customer(shop: Shop) -> stripe.Customer:
    return await shop.do(lambda c: c.v1.customers.create({"name": "Ada", "email": "ada@example.org"}))


async def test_a_card_is_saved_attached_and_charged(shop: Shop) -> None:
    method, customer = await a_method(shop), await a_customer(shop)
    assert (method.card.last4, method.card.brand) == ("4242", "visa")
    attached = await shop.do(lambda c: c.v1.payment_methods.attach(method.id, {"customer": customer.id}))
    assert attached.customer == customer.id
    intent = await shop.intent(payment_method=method.id, customer=customer.id)
    assert (intent.status, intent.customer, intent.payment_method) == ("succeeded", customer.id, method.id)
    listed = await shop.do(lambda c: c.v1.payment_methods.list({"customer": customer.id, "type": "card"}))
    assert [one.id for one in listed.data] == [method.id]
    detached = await shop.do(lambda c: c.v1.payment_methods.detach(method.id))
    assert detached.customer is None
    of_customer = await shop.do(lambda c: c.v1.payment_intents.list({"customer": customer.id}))
    assert [one.id for one in of_customer.data] == [intent.id]


async def test_a_test_method_becomes_the_customers_own_when_it_is_attached(shop: Shop) -> None:
    customer = await a_customer(shop)
    attached = await shop.do(lambda c: c.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id}))
    assert attached.id != "pm_card_visa"
    intent = await shop.intent(payment_method=attached.id, customer=customer.id)
    assert intent.status == "succeeded"


async def test_a_mistyped_card_is_a_card_error(shop: Shop) -> None:
    with pytest.raises(stripe.CardError) as refused:
        await a_method(shop, "4242424242424241")
    assert (refused.value.code, refused.value.http_status) == ("incorrect_number", 402)


async def test_a_card_that_attaches_may_still_be_declined(shop: Shop) -> None:
    method, customer = await a_method(shop, "4000000000000341"), await a_customer(shop)
    await shop.do(lambda c: c.v1.payment_methods.attach(method.id, {"customer": customer.id}))
    with pytest.raises(stripe.CardError):
        await shop.intent(payment_method=method.id, customer=customer.id)


async def test_a_customer_is_changed_listed_and_deleted(shop: Shop) -> None:
    customer = await a_customer(shop)
    changed = await shop.do(
        lambda c: c.v1.customers.update(customer.id, {"name": "Ada L.", "metadata": {"tier": "gold"}})
    )
    assert (changed.name, changed.email, changed.metadata["tier"]) == ("Ada L.", "ada@example.org", "gold")
    found = await shop.do(lambda c: c.v1.customers.list({"email": "ada@example.org"}))
    assert [one.id for one in found.data] == [customer.id]
    gone = await shop.do(lambda c: c.v1.customers.delete(customer.id))
    assert gone.deleted is True
    with pytest.raises(stripe.InvalidRequestError):
        await shop.do(lambda c: c.v1.customers.retrieve(customer.id))


async def test_a_setup_intent_checks_a_card_and_keeps_it_for_the_customer(shop: Shop) -> None:
    method, customer = await a_method(shop), await a_customer(shop)
    setup = await shop.do(lambda c: c.v1.setup_intents.create({"customer": customer.id}))
    assert setup.status == "requires_payment_method"
    done = await shop.do(lambda c: c.v1.setup_intents.confirm(setup.id, {"payment_method": method.id}))
    assert (done.status, done.payment_method) == ("succeeded", method.id)
    kept = await shop.do(lambda c: c.v1.payment_methods.retrieve(method.id))
    assert kept.customer == customer.id
    assert await shop.charges() == []
    with pytest.raises(stripe.InvalidRequestError):
        await shop.do(lambda c: c.v1.setup_intents.cancel(setup.id))


async def test_a_setup_intent_refuses_a_card_that_the_issuer_refuses(shop: Shop) -> None:
    method = await a_method(shop, "4000000000000002")
    setup = await shop.do(lambda c: c.v1.setup_intents.create({"payment_method": method.id}))
    with pytest.raises(stripe.CardError) as declined:
        await shop.do(lambda c: c.v1.setup_intents.confirm(setup.id))
    assert declined.value.code == "card_declined"
    read = await shop.do(lambda c: c.v1.setup_intents.retrieve(setup.id))
    assert (read.status, read.last_setup_error.code) == ("requires_payment_method", "card_declined")
    cancelled = await shop.do(lambda c: c.v1.setup_intents.cancel(setup.id))
    assert cancelled.status == "canceled"
    listed = await shop.do(lambda c: c.v1.setup_intents.list())
    assert [one.id for one in listed.data] == [setup.id]


async def test_a_setup_that_needs_the_payer_waits_for_the_second_confirmation(shop: Shop) -> None:
    method = await a_method(shop, "4000002500003155")
    setup = await shop.do(lambda c: c.v1.setup_intents.create({"payment_method": method.id, "confirm": True}))
    assert setup.status == "requires_action"
    done = await shop.do(lambda c: c.v1.setup_intents.confirm(setup.id))
    assert done.status == "succeeded"
