"""The official `stripe` client, unmodified, on payment intents, refunds and charges (payments.md 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import stripe
from stripe_rig import Shop


async def test_an_intent_is_created_confirmed_and_read_back(shop: Shop) -> None:
    intent = await shop.intent(confirm=None, metadata={"order": "7"}, description="Shoes")
    assert intent.id.startswith("pi_")
    assert (intent.status, intent.amount, intent.currency) == ("requires_confirmation", 1250, "eur")
    confirmed = await shop.do(lambda c: c.v1.payment_intents.confirm(intent.id))
    assert (confirmed.status, confirmed.amount_received) == ("succeeded", 1250)
    read = await shop.do(lambda c: c.v1.payment_intents.retrieve(intent.id))
    assert (read.metadata["order"], read.description, read.latest_charge) == (
        "7",
        "Shoes",
        f"ch_{intent.id[3:]}",
    )
    assert len(await shop.charges()) == 1


async def test_the_module_api_of_older_programs_works_as_well(shop: Shop) -> None:
    def pay() -> str:
        before = stripe.api_base
        try:
            stripe.api_base = f"{shop.gateway.url}/stripe"
            intent = stripe.PaymentIntent.create(
                api_key=shop.gateway.key,
                amount=500,
                currency="eur",
                payment_method="pm_card_visa",
                confirm=True,
            )
            return str(stripe.PaymentIntent.retrieve(intent.id, api_key=shop.gateway.key).status)
        finally:
            stripe.api_base = before

    assert await asyncio.to_thread(pay) == "succeeded"


async def test_an_intent_is_updated_until_it_is_confirmed(shop: Shop) -> None:
    intent = await shop.intent(confirm=None, payment_method=None, metadata={"a": "1", "b": "2"})
    assert intent.status == "requires_payment_method"
    updated = await shop.do(
        lambda c: c.v1.payment_intents.update(
            intent.id, {"amount": 999, "metadata": {"a": "", "c": "3"}, "payment_method": "pm_card_visa"}
        )
    )
    assert (updated.amount, updated.status) == (999, "requires_confirmation")
    assert updated.metadata.to_dict() == {"b": "2", "c": "3"}
    await shop.do(lambda c: c.v1.payment_intents.confirm(intent.id))
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.do(lambda c: c.v1.payment_intents.update(intent.id, {"amount": 1}))
    assert refused.value.code == "payment_intent_unexpected_state"


async def test_a_decline_is_a_card_error_and_another_card_pays_the_same_intent(shop: Shop) -> None:
    with pytest.raises(stripe.CardError) as declined:
        await shop.intent(payment_method="pm_card_chargeDeclinedInsufficientFunds")
    error = declined.value.error
    assert error is not None
    assert (error.code, error.decline_code) == ("card_declined", "insufficient_funds")
    assert error.payment_intent.status == "requires_payment_method"
    paid = await shop.do(
        lambda c: c.v1.payment_intents.confirm(error.payment_intent.id, {"payment_method": "pm_card_visa"})
    )
    assert (paid.status, paid.last_payment_error) == ("succeeded", None)


async def test_a_part_is_captured_and_the_rest_of_the_hold_given_up(shop: Shop) -> None:
    held = await shop.held()
    assert (held.status, held.amount_capturable) == ("requires_capture", 10_000)
    captured = await shop.do(lambda c: c.v1.payment_intents.capture(held.id, {"amount_to_capture": 4_000}))
    assert (captured.status, captured.amount_received, captured.amount_capturable) == ("succeeded", 4_000, 0)


async def test_several_parts_are_captured_when_the_first_is_not_final(shop: Shop) -> None:
    held = await shop.held()
    first = await shop.do(
        lambda c: c.v1.payment_intents.capture(held.id, {"amount_to_capture": 4_000, "final_capture": False})
    )
    assert (first.status, first.amount_capturable) == ("requires_capture", 6_000)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.do(lambda c: c.v1.payment_intents.capture(held.id, {"amount_to_capture": 6_001}))
    assert refused.value.code == "amount_too_large"
    rest = await shop.do(lambda c: c.v1.payment_intents.capture(held.id))
    assert (rest.status, rest.amount_received) == ("succeeded", 10_000)


async def test_a_hold_is_cancelled(shop: Shop) -> None:
    held = await shop.held()
    cancelled = await shop.do(
        lambda c: c.v1.payment_intents.cancel(held.id, {"cancellation_reason": "requested_by_customer"})
    )
    assert (cancelled.status, cancelled.canceled_at is not None) == ("canceled", True)
    with pytest.raises(stripe.InvalidRequestError):
        await shop.do(lambda c: c.v1.payment_intents.capture(held.id))


async def test_a_challenge_names_a_page_to_open(shop: Shop) -> None:
    intent = await shop.intent(payment_method="pm_card_authenticationRequired")
    assert intent.status == "requires_action"
    assert intent.next_action.type == "redirect_to_url"
    page = intent.next_action.redirect_to_url.url
    async with shop.gateway.session.post(page, json={"outcome": "passed"}) as response:
        assert response.status == 200
    for _ in range(1500):
        read = await shop.do(lambda c: c.v1.payment_intents.retrieve(intent.id))
        if read.status == "succeeded":
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"the passed challenge ended as {read.status}")


async def test_an_outcome_that_is_not_known_is_processing_and_not_an_error(shop: Shop) -> None:
    data = {"type": "card", "card": {"token": "tok_reset"}}
    intent = await shop.intent(payment_method=None, payment_method_data=data)
    assert intent.status == "processing"


async def test_refunds_in_parts_end_where_the_charge_ends(shop: Shop) -> None:
    intent = await shop.intent(amount=1_000)
    first = await shop.do(
        lambda c: c.v1.refunds.create(
            {"payment_intent": intent.id, "amount": 600, "reason": "duplicate", "metadata": {"why": "twice"}}
        )
    )
    assert (first.status, first.amount, first.payment_intent) == ("succeeded", 600, intent.id)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.do(lambda c: c.v1.refunds.create({"charge": str(intent.latest_charge), "amount": 600}))
    assert refused.value.code == "amount_too_large"
    rest = await shop.do(lambda c: c.v1.refunds.create({"charge": str(intent.latest_charge)}))
    assert rest.amount == 400
    charge = await shop.do(lambda c: c.v1.charges.retrieve(str(intent.latest_charge)))
    assert (charge.refunded, charge.amount_refunded, charge.paid) == (True, 1_000, True)
    changed = await shop.do(lambda c: c.v1.refunds.update(first.id, {"metadata": {"why": "", "seen": "yes"}}))
    assert changed.metadata.to_dict() == {"seen": "yes"}
    listed = await shop.do(lambda c: c.v1.refunds.list({"payment_intent": intent.id}))
    assert [one.id for one in listed.data] == [rest.id, first.id]
    with pytest.raises(stripe.InvalidRequestError):
        await shop.do(lambda c: c.v1.refunds.cancel(first.id))


async def test_the_same_key_gives_the_same_intent_and_one_charge(shop: Shop) -> None:
    intents = await asyncio.gather(*(shop.intent(key="order-1") for _ in range(6)))
    assert len({intent.id for intent in intents}) == 1
    assert len(await shop.charges()) == 1


async def test_a_key_that_is_used_for_something_else_is_an_idempotency_error(shop: Shop) -> None:
    intent = await shop.intent(key="order-1")
    with pytest.raises(stripe.IdempotencyError):
        await shop.intent(key="order-1", amount=1)
    with pytest.raises(stripe.IdempotencyError):
        await shop.do(
            lambda c: c.v1.refunds.create({"payment_intent": intent.id}, {"idempotency_key": "order-1"})
        )


async def test_a_key_belongs_to_the_endpoint_of_its_first_use_wherever_that_is(shop: Shop) -> None:
    """Customers, payment methods and payouts too: one scope for the whole facade."""
    options: stripe.RequestOptions = {"idempotency_key": "k"}
    customer = await shop.do(lambda c: c.v1.customers.create({"name": "Ada"}, options))
    assert (await shop.do(lambda c: c.v1.customers.create({"name": "Ada"}, options))).id == customer.id
    others: list[Callable[[stripe.StripeClient], object]] = [
        lambda c: c.v1.customers.update(customer.id, {"name": "Ada"}, options),
        lambda c: c.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}}, options),
        lambda c: c.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id}, options),
        lambda c: c.v1.payouts.create({"amount": 1, "currency": "eur", "destination": "ba_pays"}, options),
        lambda c: c.v1.payment_intents.create({"amount": 100, "currency": "eur"}, options),
    ]
    for call in others:
        with pytest.raises(stripe.IdempotencyError):
            await shop.do(call)
    attached: stripe.RequestOptions = {"idempotency_key": "attach"}
    methods = [
        await shop.do(
            lambda c: c.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id}, attached)
        )
        for _ in range(2)
    ]
    assert methods[0].id == methods[1].id, "a repetition attaches the same one"


async def test_the_clients_own_retries_after_a_lost_answer_charge_once(shop: Shop) -> None:
    """The answer is lost on its way to the client; the client repeats by itself, with the key it made."""
    losing = await LosingProxy.start(shop.gateway.url, lose_first=2)
    client = stripe.StripeClient(
        shop.gateway.key, base_addresses={"api": f"{losing.url}/stripe"}, max_network_retries=3
    )
    params: stripe.params.PaymentIntentCreateParams = {
        "amount": 1250, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True,
    }  # fmt: skip
    intent = await asyncio.to_thread(lambda: client.v1.payment_intents.create(params))
    await losing.stop()
    assert (intent.status, losing.lost) == ("succeeded", 2)
    assert len(await shop.charges()) == 1


async def test_auto_paging_visits_every_intent_once_newest_first(shop: Shop) -> None:
    made = [(await shop.intent(amount=100 + n)).id for n in range(7)]
    visited = await shop.do(
        lambda c: [intent.id for intent in c.v1.payment_intents.list({"limit": 3}).auto_paging_iter()]
    )
    assert visited == made[::-1]
    before = await shop.do(lambda c: c.v1.payment_intents.list({"limit": 2, "ending_before": made[2]}))
    assert ([intent.id for intent in before.data], before.has_more) == ([made[4], made[3]], True)
    charges = await shop.do(lambda c: list(c.v1.charges.list({"limit": 5}).auto_paging_iter()))
    assert [charge.payment_intent for charge in charges] == made[::-1]


async def test_lists_are_limited_to_a_span_of_time(shop: Shop) -> None:
    intent = await shop.intent()
    at = intent.created
    for created, expected in (({"gte": at}, 1), ({"lt": at}, 0), ({"gt": at}, 0), ({"lte": at}, 1), (at, 1)):
        found = await shop.do(lambda c, created=created: c.v1.payment_intents.list({"created": created}))
        assert len(found.data) == expected, created


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"amount": -5}, "amount"),
        ({"amount": 0}, "amount"),
        ({"amount": 1.5}, "amount"),
        ({"currency": "xxx"}, "currency"),
        ({"currency": "euro"}, "currency"),
        ({"payment_method": "pm_01m8brtqfee1wsxmt0cdmw097b"}, None),
        ({"capture_method": "later"}, "capture_method"),
        ({"metadata": {"card": "4242424242424242"}}, "metadata"),
        ({"flavour": "strawberry"}, "flavour"),
        ({"customer": "cus_none"}, None),
    ],
)
async def test_what_is_not_understood_is_an_invalid_request_that_names_the_parameter(
    shop: Shop, changes: dict[str, object], param: str | None
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await shop.intent(**changes)
    assert refused.value.http_status == 400
    assert param in (None, refused.value.param)
    assert await shop.charges() == []


async def test_a_wrong_key_is_an_authentication_error(shop: Shop) -> None:
    client = stripe.StripeClient("sk_test_wrong", base_addresses={"api": f"{shop.gateway.url}/stripe"})
    with pytest.raises(stripe.AuthenticationError):
        await asyncio.to_thread(lambda: client.v1.payment_intents.list())


async def test_another_merchants_objects_are_absent(shop: Shop) -> None:
    intent = await shop.intent()
    _, key = await shop.gateway.new_merchant()
    other = stripe.StripeClient(key, base_addresses={"api": f"{shop.gateway.url}/stripe"})
    for call in (
        lambda: other.v1.payment_intents.retrieve(intent.id),
        lambda: other.v1.payment_intents.cancel(intent.id),
        lambda: other.v1.charges.retrieve(str(intent.latest_charge)),
        lambda: other.v1.refunds.create({"payment_intent": intent.id}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await asyncio.to_thread(call)
        assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")


class LosingProxy:
    """Passes requests on and drops the connection in place of the first answers."""

    def __init__(self, target: str, lose_first: int) -> None:
        self._host, self._port = target.removeprefix("http://").split(":")
        self._left = lose_first
        self.lost = 0

    @classmethod
    async def start(cls, target: str, lose_first: int) -> LosingProxy:
        proxy = cls(target, lose_first)
        proxy._server = await asyncio.start_server(proxy._pass_on, "127.0.0.1", 0)
        proxy.url = f"http://127.0.0.1:{proxy._server.sockets[0].getsockname()[1]}"
        return proxy

    async def stop(self) -> None:
        self._server.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection(self._host, int(self._port))
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            ),
            0,
        )
        here.write(head + await reader.readexactly(length))
        answer = await there.read(65536)
        if self._left:
            self._left -= 1
            self.lost += 1
            writer.transport.abort()
        else:
            writer.write(answer)
            writer.close()
        here.close()
