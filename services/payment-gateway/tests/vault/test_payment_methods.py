"""Saved payment methods over HTTP: what goes in, what can be seen again, and paying with it."""

import asyncio

import pytest
from gateway_rig import RunningGateway
from vault_rig import VISA, a_card, save

from payment_gateway.domain.cards import TEST_CARDS
from payment_gateway.domain.customer import Verification
from payment_gateway.operations.verify_payment_method import verify_payment_method


async def customer_of(gateway: RunningGateway, **values: str) -> str:
    reply = await gateway.post("/v1/customers", {"name": "Ada", **values})
    assert reply.status == 201, reply.raw
    return str(reply.body["id"])


async def pay_with(
    gateway: RunningGateway, method_id: str, **changes: object
) -> tuple[int, dict[str, object]]:
    body = {"amount_minor": 1250, "currency": "EUR", "payment_method": method_id} | changes
    reply = await gateway.post("/v1/payments", body)
    return reply.status, reply.body


async def test_of_a_card_only_what_may_be_shown_comes_back(gateway: RunningGateway) -> None:
    method = await save(gateway)
    shown = method["card"]
    assert (shown["brand"], shown["bin"], shown["last4"]) == ("visa", "424242", "4242")
    assert (shown["exp_month"], shown["exp_year"], shown["checks"]) == (12, 2034, {"cvc_check": "pass"})
    assert (await gateway.call("GET", f"/v1/payment-methods/{method['id']}")).body == method


async def test_one_card_has_one_fingerprint_for_every_merchant(gateway: RunningGateway) -> None:
    mine = await save(gateway)
    gateway.merchant_id, gateway.key = await gateway.new_merchant()
    other = await save(gateway, exp_year=2031)
    third = await save(gateway, "5555555555554444")
    assert mine["card"]["fingerprint"] == other["card"]["fingerprint"] != third["card"]["fingerprint"]


@pytest.mark.parametrize(
    ("changes", "problem", "pointer"),
    [
        ({"number": "4242424242424241"}, "invalid-card-number", "/card/number"),
        ({"number": "4111111111111111"}, "test-cards-only", "/card/number"),
        ({"exp_year": 2020}, "invalid-expiry", "/card/exp_year"),
        ({"exp_year": 34}, "invalid-expiry", "/card/exp_year"),
        ({"exp_month": 13}, "invalid-expiry", "/card/exp_month"),
        ({"cvc": "12"}, "invalid-cvc", "/card/cvc"),
        ({"cvc": "abc"}, "invalid-cvc", "/card/cvc"),
        ({"token": "tok_visa"}, "invalid-request", "/card"),
        ({"pin": "1"}, "unknown-field", "/card/pin"),
    ],
)
async def test_a_card_that_is_not_acceptable_is_refused_by_name_and_kept_nowhere(
    gateway: RunningGateway, changes: dict[str, object], problem: str, pointer: str
) -> None:
    reply = await gateway.post("/v1/payment-methods", a_card(**{"number": VISA, **changes}))
    assert (reply.status, reply.problem) == (422, problem)
    assert reply.body["errors"][0]["pointer"] == pointer
    assert await gateway.deps.vault.cards_by_key() == {}


async def test_the_same_key_saves_one_card_and_answers_the_same(gateway: RunningGateway) -> None:
    replies = await asyncio.gather(
        *(gateway.post("/v1/payment-methods", a_card(), key="once") for _ in range(8))
    )
    assert {reply.status for reply in replies} == {201}
    assert len({reply.raw for reply in replies}) == 1
    assert await gateway.deps.vault.cards_by_key() == {"k1": 1}
    other = await gateway.post("/v1/payment-methods", a_card("5555555555554444"), key="once")
    assert (other.status, other.problem) == (422, "idempotency-key-reuse")


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (VISA, "captured", None),
        ("378282246310005", "captured", None),
        ("4000000000000002", "declined", "card_declined"),
        ("4000000000009995", "declined", "insufficient_funds"),
        ("4000000000000069", "declined", "expired_card"),
        ("4000000000000127", "declined", "incorrect_cvc"),
        ("4000000000000119", "declined", "processing_error"),
        ("4000002760003184", "requires_action", None),
    ],
)
async def test_a_saved_card_pays_as_its_number_says(
    gateway: RunningGateway, number: str, status: str, code: str | None
) -> None:
    cvc = "7373" if TEST_CARDS[number].brand == "amex" else "737"
    method = await save(gateway, number, cvc=cvc)
    answered, payment = await pay_with(gateway, method["id"])
    assert (answered, payment["status"], payment["decline_code"]) == (201, status, code)
    assert payment["method"]["payment_method"] == method["id"]  # type: ignore[index]
    assert "identity" not in payment["method"]  # type: ignore[operator]


async def test_risk_is_told_where_a_saved_card_is_from_and_the_merchant_not_again(
    gateway: RunningGateway,
) -> None:
    method = await save(gateway, "4000002760003184")
    assert method["card"]["country"] == "DE"
    _, payment = await pay_with(gateway, method["id"])
    told = gateway.risk.asked[-1]
    assert (told["card"], told["card_bin"], told["card_country"]) == (
        method["card"]["fingerprint"],
        "400000",
        "DE",
    )
    assert not {"bin", "country"} & payment["method"].keys()  # type: ignore[attr-defined]


async def test_the_card_that_fails_later_is_attached_and_then_declined(gateway: RunningGateway) -> None:
    method, customer = await save(gateway, "4000000000000341"), await customer_of(gateway)
    attached = await gateway.post(f"/v1/payment-methods/{method['id']}/attach", {"customer_id": customer})
    assert (attached.status, attached.body["customer_id"]) == (200, customer)
    verified = await verify_payment_method(gateway.deps, gateway.merchant_id, method["id"])
    assert verified == Verification("succeeded")
    _, payment = await pay_with(gateway, method["id"], customer_id=customer)
    assert payment["status"] == "declined"


async def test_risk_knows_a_saved_card_again_and_never_by_its_number(gateway: RunningGateway) -> None:
    first, second = await save(gateway), await save(gateway)
    await pay_with(gateway, first["id"])
    await pay_with(gateway, second["id"])
    seen = [asked["card"] for asked in gateway.risk.asked]
    assert seen == [first["card"]["fingerprint"]] * 2
    assert VISA not in str(gateway.risk.asked)


@pytest.mark.parametrize(
    ("number", "verification"),
    [
        (VISA, Verification("succeeded")),
        ("4000000000000002", Verification("declined", "card_declined")),
        ("4000000000003220", Verification("action_required")),
    ],
)
async def test_a_card_is_verified_without_money(
    gateway: RunningGateway, number: str, verification: Verification
) -> None:
    method = await save(gateway, number)
    assert await verify_payment_method(gateway.deps, gateway.merchant_id, method["id"]) == verification
    assert await gateway.simulators.journal() == []


async def test_a_test_token_is_saved_and_pays_like_a_card(gateway: RunningGateway) -> None:
    reply = await gateway.post("/v1/payment-methods", {"type": "card", "card": {"token": "tok_visa"}})
    assert (reply.status, reply.body["card"]["last4"]) == (201, "4242")
    assert (await pay_with(gateway, reply.body["id"]))[1]["status"] == "captured"


async def test_a_detached_method_pays_no_more_and_its_card_leaves_the_vault(gateway: RunningGateway) -> None:
    method, customer = await save(gateway), await customer_of(gateway)
    path = f"/v1/payment-methods/{method['id']}"
    await gateway.post(f"{path}/attach", {"customer_id": customer})
    detached = await gateway.post(f"{path}/detach")
    assert (detached.status, detached.body["customer_id"]) == (200, None)
    assert await gateway.deps.vault.cards_by_key() == {}
    status, problem = await pay_with(gateway, method["id"])
    assert (status, problem["type"]) == (409, "/problems/payment-method-detached")
    again = await gateway.post(f"{path}/attach", {"customer_id": customer})
    assert (again.status, again.problem) == (409, "payment-method-detached")


async def test_a_method_belongs_to_one_customer(gateway: RunningGateway) -> None:
    method, ada, eve = await save(gateway), await customer_of(gateway), await customer_of(gateway)
    attach = f"/v1/payment-methods/{method['id']}/attach"
    assert (await gateway.post(attach, {"customer_id": ada})).status == 200
    assert (await gateway.post(attach, {"customer_id": eve})).problem == "attached-to-another-customer"
    status, problem = await pay_with(gateway, method["id"], customer_id=eve)
    assert (status, problem["type"]) == (422, "/problems/payment-method-of-another-customer")


async def test_another_merchants_card_and_customer_are_as_absent_as_none(gateway: RunningGateway) -> None:
    method, customer = await save(gateway), await customer_of(gateway)
    gateway.merchant_id, gateway.key = await gateway.new_merchant()
    for path in (f"/v1/payment-methods/{method['id']}", f"/v1/customers/{customer}"):
        assert (await gateway.call("GET", path)).status == 404
        assert (await gateway.post(path, {"metadata": {"a": "b"}})).status == 404
    own = await save(gateway)
    attach = f"/v1/payment-methods/{own['id']}/attach"
    assert (await gateway.post(attach, {"customer_id": customer})).status == 404
    assert (await gateway.call("DELETE", f"/v1/customers/{customer}")).status == 404
    status, problem = await pay_with(gateway, method["id"])
    assert (status, problem["type"]) == (422, "/problems/unknown-reference")


async def test_a_deleted_customer_is_forgotten_with_the_cards(gateway: RunningGateway) -> None:
    method, customer = await save(gateway), await customer_of(gateway, email="ada@example.com")
    await gateway.post(f"/v1/payment-methods/{method['id']}/attach", {"customer_id": customer})
    gone = await gateway.call("DELETE", f"/v1/customers/{customer}")
    assert gone.body == {"id": customer, "object": "customer", "deleted": True}
    assert (await gateway.call("GET", f"/v1/customers/{customer}")).status == 404
    assert await gateway.deps.vault.cards_by_key() == {}
    assert (await gateway.call("GET", "/v1/customers")).body["data"] == []


async def test_pages_of_methods_and_customers_are_whole_and_in_order(gateway: RunningGateway) -> None:
    customers = [await customer_of(gateway) for _ in range(5)]
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        page = await gateway.call("GET", f"/v1/customers?limit=2{cursor and f'&cursor={cursor}'}")
        found += [customer["id"] for customer in page.body["data"]]
        cursor = page.body["next_cursor"]
    assert found == customers[::-1]
    methods = [(await save(gateway))["id"] for _ in range(3)]
    await gateway.post(f"/v1/payment-methods/{methods[1]}/attach", {"customer_id": customers[0]})
    page = await gateway.call("GET", f"/v1/payment-methods?customer_id={customers[0]}")
    assert [method["id"] for method in page.body["data"]] == [methods[1]]


async def test_what_is_changed_is_changed_and_the_rest_stays(gateway: RunningGateway) -> None:
    method, customer = await save(gateway), await customer_of(gateway)
    changed = await gateway.post(f"/v1/payment-methods/{method['id']}", {"metadata": {"colour": "red"}})
    assert changed.body["metadata"] == {"colour": "red"}
    assert changed.body["card"] == method["card"]
    renamed = await gateway.post(f"/v1/customers/{customer}", {"email": "ada@example.com"})
    assert (renamed.body["name"], renamed.body["email"]) == ("Ada", "ada@example.com")
    listed = await gateway.call("GET", "/v1/customers?email=ada@example.com")
    assert [found["id"] for found in listed.body["data"]] == [customer]


async def test_a_payment_that_is_confirmed_later_takes_a_saved_card(gateway: RunningGateway) -> None:
    method = await save(gateway)
    body = {"amount_minor": 1250, "currency": "EUR", "confirm": False}
    created = await gateway.post("/v1/payments", body)
    confirm = f"/v1/payments/{created.body['id']}/confirm"
    paid = await gateway.post(confirm, {"payment_method": method["id"]})
    assert (paid.status, paid.body["status"]) == (200, "captured"), paid.raw


async def test_a_3ds_card_can_be_declined_after_the_payer_has_authenticated(gateway: RunningGateway) -> None:
    method = await save(gateway, "4000008260003178")
    _, payment = await pay_with(gateway, method["id"])
    url = payment["next_action"]["url"]  # type: ignore[index]
    async with gateway.session.post(url, json={"outcome": "passed"}) as response:
        assert response.status < 400, await response.text()
    for _ in range(1500):
        found = await gateway.payment(str(payment["id"]))
        if found["status"] != "requires_action":
            break
        await asyncio.sleep(0.02)
    assert (found["status"], found["decline_code"]) == ("declined", "insufficient_funds")
