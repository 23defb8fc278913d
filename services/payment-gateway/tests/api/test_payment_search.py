"""Operators find payments by an e-mail or a card's last four digits, across merchants; who searched is written down."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_rig import ADMIN, RunningGateway
from simulator_rig import TOKEN

from payment_gateway.operations import search_payments

ADA = {"Acting-For": "ada"}
EMAIL = "Grace.Hopper@example.org"


async def pays(gateway: RunningGateway, token: str = "tok_visa_search", **more: Any) -> str:
    body = {"amount_minor": 1250, "currency": "EUR", "method": {"type": "card", "card": {"token": token}}}
    made = await gateway.post("/v1/payments", body | more)
    assert made.status == 201, made.body
    return str(made.body["id"])


async def search(gateway: RunningGateway, **body: str) -> dict[str, Any]:
    found = await gateway.post("/internal/payments/search", body, token=TOKEN, headers=ADA)
    assert found.status == 200, found.body
    return dict(found.body)


def ids(found: dict[str, Any]) -> list[str]:
    return [one["payment_id"] for one in found["data"]]


async def test_a_payer_known_by_an_e_mail_alone_is_found_however_it_was_spelled(
    gateway: RunningGateway,
) -> None:
    first = await pays(gateway, customer={"email": EMAIL})
    second = await pays(gateway, customer={"email": EMAIL.lower()})
    await pays(gateway, customer={"email": "somebody.else@example.org"})
    assert ids(await search(gateway, email=EMAIL.upper())) == [second, first]


async def test_a_saved_customer_is_found_by_the_e_mail_they_were_saved_with(gateway: RunningGateway) -> None:
    saved = await gateway.post("/v1/customers", {"email": "saved.hopper@example.org"})
    paid = await pays(gateway, customer_id=saved.body["id"])
    assert ids(await search(gateway, email="saved.hopper@example.org")) == [paid]


async def test_whom_a_merchant_named_by_an_id_is_not_found_by_what_is_sealed(gateway: RunningGateway) -> None:
    await pays(gateway, customer={"id": "ada-17", "email": "sealed.ada@example.org"})
    assert ids(await search(gateway, email="sealed.ada@example.org")) == []


async def test_cards_are_found_by_their_last_four_digits_and_pages_go_on(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tok_amex` ends with 0005; a token that only begins like another's stands for the card of its own prefix."""
    amex = [await pays(gateway, f"tok_amex_{n}") for n in range(3)]
    await pays(gateway, "tok_visa_search")
    whole = await search(gateway, last_four="0005")
    assert ids(whole)[:3] == amex[::-1]
    monkeypatch.setattr(search_payments, "LOOKED_AT", 2)
    part = await search(gateway, last_four="0005")
    assert (ids(part), part["is_whole"]) == ([amex[2]], False)
    rest = await search(gateway, last_four="0005", before=part["next_before"])
    assert ids(rest) == amex[1::-1]
    monkeypatch.setattr(search_payments, "LOOKED_AT", 20_000)
    monkeypatch.setattr(search_payments, "FOUND_MAX", 2)
    monkeypatch.setattr(search_payments, "_ends", lambda row, _: row.id != amex[2])
    full = await search(gateway, last_four="0005")
    assert ids(full) == [amex[1]], "what is beyond a full page is the next one's, also where one did not fit"
    assert ids(await search(gateway, last_four="0005", before=full["next_before"]))[:1] == [amex[0]]


async def test_the_audit_log_names_who_searched_and_not_for_whom(gateway: RunningGateway) -> None:
    await pays(gateway, customer={"email": EMAIL})
    await search(gateway, email=EMAIL)
    log = await gateway.call("GET", "/v1/admin/audit-log", token=ADMIN)
    entry = next(one for one in log.body["data"] if one["action"] == "payments.searched")
    assert entry["actor"] == {"type": "operator", "id": "ada"}
    assert (entry["details"]["by"], entry["merchant_id"]) == ("email", None)
    assert "hopper" not in str(log.body).lower()
    own = await gateway.call("GET", "/v1/audit-log")
    assert "payments.searched" not in [one["action"] for one in own.body["data"]]


async def test_a_search_names_its_operator_and_exactly_one_thing(gateway: RunningGateway) -> None:
    nobody = await gateway.post("/internal/payments/search", {"last_four": "4242"}, token=TOKEN)
    assert nobody.status == 403, nobody.body
    for body in ({}, {"email": EMAIL, "last_four": "4242"}, {"last_four": "42x2"}):
        refused = await gateway.post("/internal/payments/search", body, token=TOKEN, headers=ADA)
        assert refused.status == 422, body
