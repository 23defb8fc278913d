"""The daily commands on what comes after a payment: disputes, payouts, and finding things again."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from platform_cli.embedded.testing import FreshDatabase

sys.path.insert(0, str(Path(__file__).parents[3] / "services/payment-gateway/tests/simulators"))
sys.path.insert(0, str(Path(__file__).parents[3] / "services/payment-gateway/tests/api"))
sys.path.insert(0, str(Path(__file__).parent))

from gateway_rig import RunningGateway, run_gateway
from money_rig import disputed, funded
from test_daily_commands import platform


@pytest.fixture
async def gateway(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with run_gateway(await fresh_database("payments"), tmp_path / "journals") as running:
        yield running


async def test_a_dispute_is_found_answered_and_another_given_in(gateway: RunningGateway) -> None:
    answered, given_in = [
        await disputed(gateway, str((await gateway.pay("tok_dispute")).body["id"])) for _ in range(2)
    ]
    code, out, _ = await platform(gateway, "disputes", "--status", "needs_response")
    assert (code, answered["id"] in out, given_in["id"] in out, "12.50 EUR" in out) == (0, True, True, True)
    code, _, err = await platform(gateway, "disputes", "answer", answered["id"])
    assert (code, "--evidence name=text" in err) == (2, True)
    code, out, _ = await platform(gateway, "disputes", "answer", answered["id"], "--evidence", "note=signed")
    assert (code, "needs_response" in out, "note: signed" in out) == (0, True, True)
    code, out, _ = await platform(gateway, "disputes", "answer", answered["id"], "--submit", "--json")
    assert (code, json.loads(out)["status"]) == (0, "under_review")
    code, _, err = await platform(gateway, "disputes", "answer", answered["id"], "--submit")
    assert (code, "under_review" in err, "allowed" in err) == (1, True, True)
    code, out, _ = await platform(gateway, "disputes", "accept", given_in["id"])
    assert (code, "lost" in out) == (0, True)
    code, out, _ = await platform(gateway, "disputes", "--payment", answered["payment_id"], "--json")
    assert [json.loads(line)["id"] for line in out.splitlines()] == [answered["id"]]
    code, out, _ = await platform(gateway, "disputes", "show", answered["id"])
    assert (code, answered["payment_id"] in out) == (0, True)


async def test_a_payout_is_made_once_listed_and_called_back(gateway: RunningGateway) -> None:
    await funded(gateway, 5_000)
    words = ("payouts", "make", "20", "eur", "--to", "ba_pays", "--key", "monday")
    code, out, _ = await platform(gateway, *words, "--json")
    made = json.loads(out)
    assert (code, made["amount_minor"], made["status"]) == (0, 2_000, "pending")
    code, out, _ = await platform(gateway, *words)
    assert (code, made["id"] in out) == (0, True), "the same key is the same payout"
    code, _, err = await platform(gateway, "payouts", "make", "31", "eur", "--to", "ba_pays")
    assert (code, "does not hold enough" in err) == (1, True)
    code, out, _ = await platform(gateway, "payouts", "cancel", made["id"])
    assert (code, "cancelled" in out) == (0, True)
    code, out, _ = await platform(gateway, "payouts", "--status", "cancelled")
    assert (code, made["id"] in out, "20.00 EUR" in out) == (0, True, True)
    code, out, _ = await platform(gateway, "payouts", "--status", "paid")
    assert (code, out.strip()) == (0, "no payouts")
    code, out, _ = await platform(gateway, "balance")
    assert (code, "reserve" in out, "50.00 EUR" in out) == (0, True, True)


async def test_payments_are_found_by_customer_and_by_time(gateway: RunningGateway) -> None:
    customer = (await gateway.post("/v1/customers", {"name": "Ada"})).body["id"]
    mine = (await gateway.pay(customer_id=customer)).body["id"]
    other = (await gateway.pay()).body["id"]
    code, out, _ = await platform(gateway, "list", "--customer", customer)
    assert (code, mine in out, other in out) == (0, True, False)
    code, out, _ = await platform(gateway, "list", "--since", "2000-01-01T00:00:00Z")
    assert (code, mine in out, other in out) == (0, True, True)
    code, out, _ = await platform(gateway, "list", "--until", "2000-01-01T00:00:00Z")
    assert (code, out.strip()) == (0, "no payments")
    code, _, err = await platform(gateway, "list", "--since", "yesterday")
    assert (code, "created_from" in err, "RFC 3339" in err) == (1, True, True)
