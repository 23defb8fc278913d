"""The daily commands as a person types them, against a real gateway."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from platform_cli.daily.amounts import BadAmount, minor_units, written
from platform_cli.embedded.testing import FreshDatabase

sys.path.insert(0, str(Path(__file__).parents[3] / "services/payment-gateway/tests/simulators"))
sys.path.insert(0, str(Path(__file__).parents[3] / "services/payment-gateway/tests/api"))
sys.path.insert(0, str(Path(__file__).parents[3] / "services/payment-gateway/tests/webhooks"))

from gateway_rig import RunningGateway, run_gateway
from webhook_rig import run_receiver

from payment_gateway.operations.resolve_attempts import resolve_attempts
from payment_gateway.store.tables import outbox
from platform_kit.outbox import Relay


@pytest.fixture
async def gateway(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with run_gateway(await fresh_database("payments"), tmp_path / "journals") as running:
        yield running


async def platform(gateway: RunningGateway, *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of one command."""
    env = os.environ | {"GATEWAY_URL": gateway.url, "DEMO_API_KEY": gateway.key, "COLUMNS": "160"}
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "platform_cli.app", *words], env=env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


async def test_a_day_at_the_counter(gateway: RunningGateway) -> None:
    code, out, _ = await platform(
        gateway, "pay", "12.50", "eur", "--manual", "--reference", "order-1", "--json"
    )
    held = json.loads(out)
    assert (code, held["status"], held["amount_minor"]) == (0, "authorised", 1250)
    payment = held["id"]
    code, out, _ = await platform(gateway, "capture", payment, "--amount", "10", "--final")
    assert (code, "captured 10.00 EUR" in out) == (0, True)
    code, out, _ = await platform(gateway, "refund", payment, "--amount", "4.20", "--reason", "broken")
    assert (code, "4.20 EUR  succeeded" in out) == (0, True)
    await Relay(gateway.deps.engine, outbox, None, "unused").assign()
    code, out, _ = await platform(gateway, "show", payment, "--json")
    story = json.loads(out)
    assert [event["type"] for event in story["events"]] == [
        "payment.created.v1", "payment.authorised.v1", "payment.captured.v1", "refund.created.v1",
        "refund.succeeded.v1",
    ]  # fmt: skip
    code, out, _ = await platform(gateway, "tail", "--once", "--type", "refund.*")
    assert (code, out.count("refund.")) == (0, 2)
    code, out, _ = await platform(gateway, "list", "--status", "captured")
    assert (code, payment in out, "10.00 EUR" in out) == (0, True, True)
    assert (await platform(gateway, "balance"))[0] == 0


async def test_webhooks_are_registered_and_sent_again(gateway: RunningGateway) -> None:
    async with run_receiver() as receiver:
        code, out, _ = await platform(gateway, "endpoints", "--add", f"{receiver.url}/hook", "--json")
        assert (code, json.loads(out)["secret"].startswith("whsec_")) == (0, True)
        await gateway.pay()
        await Relay(gateway.deps.engine, outbox, None, "unused").assign()
        code, out, _ = await platform(gateway, "replay", "--since", "2026-01-01T00:00:00Z")
        assert (code, out.strip()) == (0, "2 deliveries are due again")


async def test_an_outcome_that_is_not_known_is_waited_for(gateway: RunningGateway) -> None:
    async def resolve() -> None:
        while True:
            await asyncio.sleep(0.2)
            await resolve_attempts(gateway.deps)

    resolving = asyncio.create_task(resolve())
    code, out, _ = await platform(gateway, "pay", "5", "--card", "tok_reset", "--json")
    resolving.cancel()
    assert (code, json.loads(out)["status"]) == (0, "captured")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("pay", "12.505"), 2, "EUR, which has 2 decimals"),
        (("pay", "5", "xyz"), 2, "no active currency"),
        (("refund", "pay_none"), 1, "no such payment"),
        (("replay",), 2, "--event, --endpoint or --since"),
        (("payy", "5"), 2, "pay"),
    ],
)
async def test_a_mistake_is_told_in_words(
    gateway: RunningGateway, words: tuple[str, ...], code: int, says: str
) -> None:
    found, _, told = await platform(gateway, *words)
    assert (found, says in told, "Traceback" in told) == (code, True, False), told


def test_nobody_there_is_told_with_what_to_do() -> None:
    env = os.environ | {"GATEWAY_URL": "http://127.0.0.1:9", "DEMO_API_KEY": "sk_test_x"}
    command = [sys.executable, "-m", "platform_cli.app", "list"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "make up" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "currency", "minor"), [("12.5", "EUR", 1250), ("12", "JPY", 12), ("0.001", "KWD", 1)]
)
def test_amounts_have_the_decimals_of_their_currency(text: str, currency: str, minor: int) -> None:
    assert minor_units(text, currency) == minor
    assert minor_units(written(minor, currency).split()[0], currency) == minor


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e400", "0.5", "x", ""])
def test_what_is_no_amount_of_yen_is_refused(text: str) -> None:
    with pytest.raises(BadAmount):
        minor_units(text, "JPY")
