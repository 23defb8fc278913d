"""What a refusal tells the official client: Stripe's own codes, and the intent as it now stands."""

from __future__ import annotations

import pytest
import stripe
from money_rig import disputed, ready
from stripe_rig import Shop


async def refused(shop: Shop, call: object) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        await shop.do(call)  # type: ignore[arg-type]
    return caught.value


async def test_an_act_that_comes_too_late_shows_the_intent(shop: Shop) -> None:
    intent = await shop.intent()
    options: stripe.RequestOptions = {"idempotency_key": "late"}
    for call in (
        lambda c: c.v1.payment_intents.capture(intent.id, {}, options),
        lambda c: c.v1.payment_intents.capture(intent.id, {}, options),  # replayed
        lambda c: c.v1.payment_intents.confirm(intent.id),
        lambda c: c.v1.payment_intents.update(intent.id, {"amount": 1}),
    ):
        error = (await refused(shop, call)).error
        assert error is not None
        assert error.code == "payment_intent_unexpected_state"
        assert (error.payment_intent.id, error.payment_intent.status) == (intent.id, "succeeded")


async def test_a_refund_says_why_nothing_is_left(shop: Shop) -> None:
    intent = await shop.intent(amount=1_000)
    await shop.do(lambda c: c.v1.refunds.create({"payment_intent": intent.id, "amount": 400}))
    too_much = await refused(
        shop, lambda c: c.v1.refunds.create({"payment_intent": intent.id, "amount": 601})
    )
    assert (too_much.code, str(too_much.user_message)) == (
        "amount_too_large", "600 minor units remain: 400 are refunded.",
    )  # fmt: skip
    await shop.do(lambda c: c.v1.refunds.create({"payment_intent": intent.id}))
    again = await refused(shop, lambda c: c.v1.refunds.create({"payment_intent": intent.id}))
    assert again.code == "charge_already_refunded"


async def test_a_refund_of_what_is_disputed_says_so(shop: Shop) -> None:
    card = {"type": "card", "card": {"token": "tok_dispute"}}
    intent = await shop.intent(payment_method=None, payment_method_data=card)
    await ready(shop.gateway, f"pay_{intent.id[3:]}")
    await disputed(shop.gateway, f"pay_{intent.id[3:]}")
    error = await refused(shop, lambda c: c.v1.refunds.create({"payment_intent": intent.id}))
    assert error.code == "charge_disputed"


async def test_a_hold_cannot_be_refunded_and_the_refusal_shows_it(shop: Shop) -> None:
    held = await shop.held()
    error = (await refused(shop, lambda c: c.v1.refunds.create({"payment_intent": held.id}))).error
    assert error is not None
    assert (error.code, error.payment_intent.status) == (
        "payment_intent_unexpected_state",
        "requires_capture",
    )


async def test_a_refund_that_failed_says_why(shop: Shop) -> None:
    card = {"type": "card", "card": {"token": "tok_refund_declined"}}
    intent = await shop.intent(payment_method=None, payment_method_data=card)
    refund = await shop.do(lambda c: c.v1.refunds.create({"payment_intent": intent.id}))
    assert (refund.status, refund.failure_reason) == ("failed", "declined")
    other = await shop.intent()
    paid = await shop.do(lambda c: c.v1.refunds.create({"payment_intent": other.id}))
    assert (paid.status, paid.failure_reason) == ("succeeded", None)


async def test_a_setup_intent_that_is_over_is_shown_too(shop: Shop) -> None:
    setup = await shop.do(lambda c: c.v1.setup_intents.create({}))
    await shop.do(lambda c: c.v1.setup_intents.cancel(setup.id))
    error = (await refused(shop, lambda c: c.v1.setup_intents.cancel(setup.id))).error
    assert error is not None
    assert (error.code, error.setup_intent.status) == ("setup_intent_unexpected_state", "canceled")


async def test_a_payout_that_is_over_is_no_intent(shop: Shop) -> None:
    error = await refused(shop, lambda c: c.v1.payouts.cancel("po_none"))
    assert error.code == "resource_missing"


async def test_an_event_that_is_not_ours_is_refused_with_those_that_are(shop: Shop) -> None:
    error = await refused(
        shop,
        lambda c: c.v1.webhook_endpoints.create(
            {"url": "https://shop.example/hook", "enabled_events": ["invoice.paid"]}
        ),
    )
    assert error.param == "enabled_events"
    assert "payment_intent.succeeded" in str(error)


@pytest.mark.parametrize(
    ("params", "param", "told"),
    [
        ({"amout": 1250}, "amout", "Received unknown parameter: amout. Did you mean amount?"),
        (
            {"amount": "12.50"},
            "amount",
            "A whole number is needed; amounts are in minor units (1250 for 12.50 EUR)",
        ),
        ({"currency": "euro"}, "currency", "one of ISO 4217's codes of three letters"),
        ({"capture_method": "later"}, "capture_method", "must be one of automatic, automatic_async, manual"),
        ({"confirm": "yes"}, "confirm", "is true or false"),
        ({"statement_descriptor": "1234"}, "statement_descriptor", "5 to 22 printable ASCII characters"),
    ],
)
async def test_a_slip_of_the_pen_is_told_with_what_would_be_right(
    shop: Shop, params: dict[str, object], param: str, told: str
) -> None:
    error = await refused(
        shop,
        lambda c: c.v1.payment_intents.create({"amount": 1250, "currency": "eur", **params}),
    )
    assert error.param == param
    assert told in str(error.user_message)


async def test_an_id_of_another_kind_is_told_what_its_ids_look_like(shop: Shop) -> None:
    error = await refused(shop, lambda c: c.v1.payment_intents.retrieve("pay_01kazr7m9v4n3w8c2x5q6t7y8z"))
    assert (error.code, error.http_status) == ("resource_missing", 404)
    assert str(error.user_message) == "No such payment_intent: these ids begin with pi_."
