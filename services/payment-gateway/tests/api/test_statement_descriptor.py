"""What the payer will read reaches the channel: its own journal says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gateway_rig import RunningGateway, run_gateway

from platform_cli.embedded.testing import FreshDatabase

SHOWN = "CORNER SHOP 12"


async def on_the_statement(gateway: RunningGateway, channel: str) -> list[Any]:
    lines = await gateway.simulators.journal(channel)
    return [line.get("statement_descriptor") for line in lines if line["type"] == "authorisation"]


@pytest.mark.parametrize(
    ("channel", "method"),
    [
        ("card_sim", {"type": "card", "card": {"token": "tok_visa"}}),
        ("wallet_sim", {"type": "wallet", "wallet": {"provider": "qr_ignored"}}),
        ("bank_sim", {"type": "bank", "bank": {"scheme": "sepa_ignored"}}),
    ],
)
async def test_every_channel_is_told_what_the_statement_shall_say(
    gateway: RunningGateway, channel: str, method: dict[str, Any]
) -> None:
    reply = await gateway.pay(method=method, statement_descriptor=SHOWN)
    assert (reply.status, reply.body["statement_descriptor"]) == (201, SHOWN)
    assert await on_the_statement(gateway, channel) == [SHOWN]


async def test_without_a_descriptor_the_channel_is_told_nothing(gateway: RunningGateway) -> None:
    await gateway.captured()
    assert await on_the_statement(gateway, "card_sim") == [None]


async def test_a_descriptor_that_was_changed_before_the_confirmation_is_the_one_that_is_shown(
    gateway: RunningGateway,
) -> None:
    draft = await gateway.pay(confirm=False, statement_descriptor="OLD NAME")
    path = f"/v1/payments/{draft.body['id']}"
    assert (await gateway.post(path, {"statement_descriptor": SHOWN})).status == 200
    assert (await gateway.post(f"{path}/confirm")).body["status"] == "captured"
    assert await on_the_statement(gateway, "card_sim") == [SHOWN]


async def test_a_payment_that_fails_over_keeps_its_descriptor(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    nobody = "http://127.0.0.1:9/card"
    async with run_gateway(await fresh_database("payments"), tmp_path, card_channel_url=nobody) as gateway:
        assert (await gateway.pay(statement_descriptor=SHOWN)).body["channel"] == "card_sim_2"
        assert await on_the_statement(gateway, "card_sim_2") == [SHOWN]
