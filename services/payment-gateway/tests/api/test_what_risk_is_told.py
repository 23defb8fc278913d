"""The question that risk is asked: who pays, and what is known of the card."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_rig import RunningGateway
from pydantic import TypeAdapter

from payment_gateway.api.schemas.payments import Email
from risk_engine.api.schemas.assessments import AssessmentRequest

PAYER = {"id": "c1", "country": "DE", "ip": "192.0.2.1", "device_id": "d1", "email": "Ada@Example.com"}


def told(gateway: RunningGateway) -> dict[str, Any]:
    """The last question; the engine's own schema reads it."""
    question = gateway.risk.asked[-1]
    AssessmentRequest.model_validate(question)
    return question


async def test_the_payer_is_told_whole_and_named_by_a_token(gateway: RunningGateway) -> None:
    assert (await gateway.pay(customer=PAYER)).status == 201
    customer = told(gateway)["customer"]
    assert customer | {"id": PAYER["id"]} == PAYER
    assert customer["id"].startswith("sub_")


@pytest.mark.parametrize(
    ("token", "card_bin", "country"),
    [("tok_visa_4711", "424242", "US"), ("tok_3ds", "400000", "FR"), ("tok_timeout_x", None, None)],
)
async def test_a_test_token_is_told_as_the_card_it_stands_for(
    gateway: RunningGateway, token: str, card_bin: str | None, country: str | None
) -> None:
    await gateway.pay(token)
    question = told(gateway)
    assert (question["card"], question["card_bin"], question["card_country"]) == (token, card_bin, country)


async def test_a_wallet_has_no_card(gateway: RunningGateway) -> None:
    await gateway.pay(method={"type": "wallet", "wallet": {"provider": "qr"}})
    question = told(gateway)
    assert (question["card"], question["card_bin"], question["card_country"]) == (None, None, None)


@pytest.mark.parametrize("email", ["a" * 200 + "@b", "a@" + "b" * 250, "ä@ö", "a@b.", '"a"@[192.0.2.1]'])
async def test_what_the_gateway_takes_as_an_address_the_engine_takes_too(
    gateway: RunningGateway, email: str
) -> None:
    TypeAdapter(Email).validate_python(email)
    assert (await gateway.pay(customer={"email": email})).status == 201
    assert told(gateway)["customer"]["email"] == email
