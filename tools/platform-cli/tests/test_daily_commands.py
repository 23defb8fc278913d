"""The daily commands as a person types them, against a real gateway."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from platform_cli.daily.amounts import BadAmount, minor_units, written
from platform_cli.embedded.testing import FreshDatabase

sys.path.insert(0, str(Path(__file__).parents[3] / "services/payment-gateway/tests/simulators"))
sys.path.insert(0, str(Path(__file__).parents[3] / "services/payment-gateway/tests/api"))
sys.path.insert(0, str(Path(__file__).parents[3] / "services/payment-gateway/tests/webhooks"))

from gateway_rig import ADMIN, RunningGateway, run_gateway
from money_rig import set_terms
from redis.asyncio import Redis
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
    return await platform_at(gateway.url, gateway.key, *words)


async def platform_at(url: str, key: str, *words: str) -> tuple[int, str, str]:
    env = os.environ | {"GATEWAY_URL": url, "DEMO_API_KEY": key, "ADMIN_API_KEY": ADMIN, "COLUMNS": "160"}
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "platform_cli.app", *words], env=env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


async def number_events(gateway: RunningGateway) -> None:
    """What the relay does before it publishes: from now on the events are seen."""
    nowhere: Redis = Redis(port=9)
    await Relay(gateway.deps.engine, outbox, nowhere, "unused").assign()


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
    await number_events(gateway)
    code, out, _ = await platform(gateway, "show", payment, "--json")
    story = json.loads(out)
    assert [event["type"] for event in story["events"]] == [
        "payment.created.v1", "payment.authorised.v1", "payment.captured.v1", "refund.created.v1",
        "refund.succeeded.v1",
    ]  # fmt: skip
    _, out, _ = await platform(gateway, "show", payment)
    amounts = re.findall(r"\.v1 +(\S+) EUR", out)
    assert amounts == ["12.50", "12.50", "10.00", "4.20", "4.20"]
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
        await number_events(gateway)
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


async def test_a_hold_is_given_up_and_a_wallet_s_payer_is_sent_to_a_page(gateway: RunningGateway) -> None:
    code, out, _ = await platform(gateway, "pay", "9", "--manual", "--metadata", "table=7", "--json")
    held = json.loads(out)
    assert (code, held["metadata"]) == (0, {"table": "7"})
    code, out, _ = await platform(gateway, "void", held["id"])
    assert (code, "voided" in out) == (0, True)
    code, out, _ = await platform(gateway, "pay", "9", "--wallet", "qr")
    assert (code, "requires_action" in out, "the payer must act: " in out) == (0, True, True)


async def test_a_decline_is_shown_and_is_no_success_for_a_script(gateway: RunningGateway) -> None:
    code, out, told = await platform(gateway, "pay", "9", "--card", "tok_declined")
    assert (code, "declined (" in out, told) == (1, True, "")


async def test_brackets_in_what_a_merchant_wrote_are_shown_as_they_are(gateway: RunningGateway) -> None:
    await platform(gateway, "pay", "9", "--reference", "[red]a[/x]")
    code, out, told = await platform(gateway, "list", "--all")
    assert (code, "[red]a[/x]" in out) == (0, True), told


async def test_an_endpoint_is_tried_rotated_and_switched(gateway: RunningGateway) -> None:
    async with run_receiver() as receiver:
        _, out, _ = await platform(
            gateway, "endpoints", "--add", f"{receiver.url}/hook", "--type", "payment.*", "--json"
        )
        made = json.loads(out)
        endpoint = made["id"]
        code, out, _ = await platform(gateway, "endpoints", "rotate", endpoint, "--overlap-s", "0")
        assert (code, "secret: whsec_" in out, made["secret"] in out) == (0, True, False)
        assert (await platform(gateway, "endpoints", "ping", endpoint))[0] == 0
        assert (await platform(gateway, "endpoints", "disable", endpoint))[0] == 0
        _, out, _ = await platform(gateway, "endpoints")
        assert "no (merchant)" in out
        assert "payment.*" in out
        code, _, told = await platform(gateway, "replay", "--endpoint", endpoint)
        assert (code, "Enable it first." in told) == (1, True)
        assert (await platform(gateway, "endpoints", "enable", endpoint))[0] == 0
        await gateway.captured()
        await number_events(gateway)
        assert (await platform(gateway, "replay", "--endpoint", endpoint))[0] == 0
        code, out, _ = await platform(gateway, "deliveries", "--endpoint", endpoint)
        assert (code, "payment.captured.v1" in out, " due " in out) == (0, True, True)


async def test_an_administrator_makes_a_merchant_and_verifies_the_ledger(gateway: RunningGateway) -> None:
    code, out, _ = await platform(gateway, "merchants", "create", "Corner shop", "--json")
    made = json.loads(out)
    assert code == 0
    code, out, _ = await platform_at(gateway.url, made["api_key"], "pay", "5", "--json")
    assert (code, json.loads(out)["merchant_id"]) == (0, made["id"])
    _, out, _ = await platform(gateway, "accounts")
    assert "no accounts yet" in out
    code, out, _ = await platform(gateway, "verify-ledger")
    assert (code, "ledger balanced" in out) == (0, True)
    assert json.loads((await platform(gateway, "verify-ledger", "--json"))[1])["balanced"] is True


async def test_an_administrator_looks_at_a_merchant_and_disables_it(gateway: RunningGateway) -> None:
    code, out, _ = await platform(gateway, "merchants", "list")
    assert (code, gateway.merchant_id in out) == (0, True)
    code, out, _ = await platform(
        gateway, "merchants", "disable", gateway.merchant_id, "--reason", "asked to"
    )
    assert (code, "is disabled" in out) == (0, True)
    _, out, _ = await platform(gateway, "merchants", "show", gateway.merchant_id)
    assert ("disabled since" in out, "merchant.disabled" in out) == (True, True)
    shown = json.loads((await platform(gateway, "merchants", "show", gateway.merchant_id, "--json"))[1])
    assert shown["acts"][0]["details"] == {"reason": "asked to"}
    code, out, _ = await platform(gateway, "merchants", "enable", gateway.merchant_id, "--json")
    assert (code, json.loads(out)["disabled_at"]) == (0, None)


async def test_an_administrator_sets_a_reserve_and_the_other_terms_stay(gateway: RunningGateway) -> None:
    await set_terms(gateway, settlement_delay_days=3, fee_plan={"rules": [{"basis_points": 140}]})
    code, out, _ = await platform(gateway, "merchants", "reserve", gateway.merchant_id, "--percent", "7.5")
    assert (code, "7.5 % of each settlement in reserve for 180 days" in out) == (0, True)
    shown = json.loads((await platform(gateway, "merchants", "show", gateway.merchant_id, "--json"))[1])
    terms = shown["terms"]
    assert (terms["settlement_delay_days"], terms["reserve"]) == (3, {"basis_points": 750, "days": 180})
    assert terms["fee_plan"]["rules"][0]["basis_points"] == 140
    code, out, _ = await platform(gateway, "merchants", "reserve", gateway.merchant_id, "--percent", "0")
    assert (code, "no reserve" in out) == (0, True)


async def test_an_administrator_books_what_nobody_can_explain_and_says_later_whose_it_is(
    gateway: RunningGateway,
) -> None:
    line = ("suspense", "book", "card_sim", "brk_1", "received", "12.50", "--note", "no such payment")
    code, out, _ = await platform(gateway, *line)
    assert (code, "12.50 EUR received, in suspense" in out) == (0, True)
    item = out.split()[0]
    listed = json.loads((await platform(gateway, "suspense", "list", "--json"))[1])
    assert [(one["id"], one["amount_minor"]) for one in listed] == [(item, 1250)]
    nobody = ("suspense", "resolve", item, "merchant", "--note", "order 17")
    code, _, told = await platform(gateway, *nobody)
    assert (code, "merchant_id" in told) == (1, True)
    code, out, _ = await platform(gateway, *nobody, "--merchant", gateway.merchant_id)
    assert (code, f"resolved: {gateway.merchant_id}" in out) == (0, True)
    assert "nothing in suspense" in (await platform(gateway, "suspense", "list"))[1]
    assert "order 17" in (await platform(gateway, "suspense", "list", "--all"))[1]


async def test_the_commands_read_their_own_version_whatever_is_pinned(gateway: RunningGateway) -> None:
    pin = {"api_version": "2026-11-23"}
    await gateway.call("PATCH", "/v1/merchant", raw=json.dumps(pin).encode())
    _, out, _ = await platform(gateway, "pay", "5", "--json")
    assert "disputed_minor" in json.loads(out)


async def test_money_is_moved_held_and_looked_at_by_hand(gateway: RunningGateway) -> None:
    for name in ("funding", "savings"):
        bounds = ("--floor", "0", "--ceiling", "500") if name == "savings" else ()
        assert (await platform(gateway, "ledger", "open", name, *bounds))[0] == 0
    code, out, _ = await platform(gateway, "ledger", "move", "funding", "savings", "12.50", "--json")
    journal = json.loads(out)
    assert (code, journal["amount_minor"]) == (0, 1250)
    code, out, _ = await platform(gateway, "ledger", "move", "savings", "funding", "5", "--hold")
    hold = out.split()[0]
    assert (code, "5.00 EUR remain" in out) == (0, True)
    assert (await platform(gateway, "ledger", "post", hold, "--amount", "2"))[0] == 0
    _, out, _ = await platform(gateway, "ledger", "holds", "savings", "--state", "pending")
    assert (hold in out, "3.00 EUR" in out) == (True, True)
    assert "voided" in (await platform(gateway, "ledger", "void", hold))[1]
    _, out, _ = await platform(gateway, "ledger", "transfers", "savings", "--json")
    assert [json.loads(line)["kind"] for line in out.splitlines()] == ["release", "post", "pending", "posted"]
    code, _, told = await platform(gateway, "ledger", "reverse", journal["id"], "--reason", "wrong")
    assert (code, "would fall below its floor" in told) == (1, True)
    code, _, told = await platform(gateway, "ledger", "move", "funding", "savings", "600")
    assert (code, "more than its ceiling" in told) == (1, True)


async def test_a_key_that_may_only_read_is_made_renewed_and_ended(gateway: RunningGateway) -> None:
    _, out, _ = await platform(gateway, "keys", "create", "reporting", "--scope", "payments:read", "--json")
    made = json.loads(out)
    code, _, told = await platform_at(gateway.url, made["api_key"], "pay", "5")
    assert (code, "Traceback" in told) == (1, False), told
    assert (await platform_at(gateway.url, made["api_key"], "list"))[0] == 0
    code, out, _ = await platform(gateway, "keys", "rotate", made["id"], "--overlap-s", "0")
    assert (code, "DEMO_API_KEY=sk_" in out) == (0, True)
    assert (await platform(gateway, "keys", "revoke", out.split()[0]))[0] == 0
    code, out, _ = await platform(gateway, "keys")
    assert (code, out.count("reporting"), "everything" in out) == (0, 2, True)


async def test_tail_begins_with_the_newest_and_follows_until_ctrl_c(gateway: RunningGateway) -> None:
    await gateway.captured()
    await number_events(gateway)
    _, out, _ = await platform(gateway, "tail", "-n", "1", "--once")
    assert (out.count("evt_"), "payment.captured.v1" in out) == (1, True)
    env = os.environ | {"GATEWAY_URL": gateway.url, "DEMO_API_KEY": gateway.key}
    following = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-m", "platform_cli.app", "tail", "-n", "1", "--json", env=env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert following.stdout
    old = json.loads(await asyncio.wait_for(following.stdout.readline(), 20))
    payment = await gateway.hold()
    await number_events(gateway)
    new = json.loads(await asyncio.wait_for(following.stdout.readline(), 20))
    assert (new["type"], new["aggregate_id"], old["id"] < new["id"]) == ("payment.created.v1", payment, True)
    following.send_signal(signal.SIGINT)
    _, told = await following.communicate()
    assert (following.returncode, b"Traceback" in told) == (0, False), told


@pytest.fixture(autouse=True)
def programs_hear_ctrl_c() -> Iterator[None]:
    """Of a run in the background SIGINT is ignored, and every program that it starts would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@asynccontextmanager
async def a_server(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], port: int = 0
) -> AsyncIterator[str]:
    """Its address; every request goes to `answer`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def a_line_that_loses_answers(
    gateway: RunningGateway, lost: int
) -> AsyncIterator[tuple[str, list[str]]]:
    """Its address, and the keys that went through it. It carries every request to the gateway, and cuts off the
    first `lost` answers to a POST."""
    keys: list[str] = []

    async def carry(request: web.Request) -> web.StreamResponse:
        headers = {
            name: request.headers[name]
            for name in ("Authorization", "Idempotency-Key")
            if name in request.headers
        }
        headers["Content-Type"] = "application/json"
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method,
                gateway.url + request.path_qs,
                data=await request.read() or None,
                headers=headers,
            ) as reply,
        ):
            raw, status = await reply.read(), reply.status
        if request.method == "POST":
            keys.append(request.headers["Idempotency-Key"])
            if len(keys) <= lost:
                assert request.transport
                request.transport.abort()
        return web.Response(body=raw, status=status, content_type="application/json")

    async with a_server(carry) as url:
        yield url, keys


async def test_a_lost_answer_is_asked_for_again_with_the_same_key(gateway: RunningGateway) -> None:
    async with a_line_that_loses_answers(gateway, lost=1) as (url, keys):
        code, out, told = await platform_at(url, gateway.key, "pay", "5", "--json")
    assert (code, json.loads(out)["status"], len(keys), len(set(keys))) == (0, "captured", 2, 1)
    assert "asking again with the same key" in told
    assert (await gateway.rows())["payment"] == 1


async def test_an_answer_that_stays_lost_leaves_the_key_that_finds_it(gateway: RunningGateway) -> None:
    async with a_line_that_loses_answers(gateway, lost=4) as (url, keys):
        code, _, told = await platform_at(url, gateway.key, "pay", "5")
        assert (code, len(keys)) == (2, 4)
        key = re.search(r"--key (\S+)", told)
        assert key, told
        code, out, _ = await platform_at(url, gateway.key, "pay", "5", "--key", key.group(1), "--json")
    assert (code, json.loads(out)["status"]) == (0, "captured")
    assert (await gateway.rows())["payment"] == 1


async def test_what_answers_but_is_no_gateway_is_told_in_words() -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    async with a_server(page) as url:
        for command in ("balance", "verify-ledger"):
            code, _, told = await platform_at(url, "sk_test_x", command)
            assert (code, "is not the gateway" in told, "Traceback" in told) == (2, True, False), told


async def test_a_refusal_is_told_in_words(gateway: RunningGateway) -> None:
    for words, says in (
        (("refund", "pay_none"), "no such payment"),
        (("pay", "5", "--card", "visa"), "/method"),
        (("pay", "5", "--key", "4242424242424242"), "Idempotency-Key"),
    ):
        code, _, told = await platform(gateway, *words)
        assert (code, says in told, "Traceback" in told) == (1, True, False), (words, told)


async def test_what_makes_no_sense_is_told_before_anybody_is_asked() -> None:
    mistakes = {
        ("pay", "12.505"): "EUR, which has 2 decimals",
        ("pay", "5", "xyz"): "no active currency",
        ("pay", "5", "--card", "tok_visa", "--wallet", "qr"): "Say one of",
        ("pay", "5", "--metadata", "table"): "order=1001",
        ("replay",): "--event, --endpoint or --since",
        ("deliveries",): "--endpoint or --event",
        ("payy", "5"): "Did you mean 'pay'",
    }
    nowhere = "http://127.0.0.1:9"
    for words, says in mistakes.items():
        code, _, told = await platform_at(nowhere, "sk_test_x", *words)
        assert (code, says in told, "Traceback" in told) == (2, True, False), (words, told)


async def test_ctrl_c_leaves_the_key_of_what_was_asked() -> None:
    asked = asyncio.Event()
    keys: list[str] = []

    async def think(request: web.Request) -> web.Response:
        keys.append(request.headers["Idempotency-Key"])
        asked.set()
        await asyncio.sleep(60)
        return web.Response()

    async with a_server(think) as url:
        env = os.environ | {"GATEWAY_URL": url, "DEMO_API_KEY": "sk_test_x"}
        paying = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "platform_cli.app", "pay", "5", env=env, stderr=asyncio.subprocess.PIPE
        )
        await asyncio.wait_for(asked.wait(), 20)
        paying.send_signal(signal.SIGINT)
        _, told = await asyncio.wait_for(paying.communicate(), 20)
    assert (paying.returncode, f"--key {keys[0]}" in told.decode(), b"Traceback" in told) == (
        130,
        True,
        False,
    ), told


async def test_tail_waits_for_a_gateway_that_restarts() -> None:
    """A stand-in, for its port is to be free and taken again: two events, one before and one after the gap."""
    events = [{"id": f"evt_{n}", "type": "a.v1", "aggregate_id": "a", "occurred_at": "now"} for n in (1, 2)]

    async def first(_: web.Request) -> web.Response:
        return web.json_response({"data": events[:1], "has_more": False})

    async def second(request: web.Request) -> web.Response:
        return web.json_response(
            {"data": events[1:] if request.query["after"] == "evt_1" else [], "has_more": False}
        )

    async with a_server(first) as url:
        env = os.environ | {"GATEWAY_URL": url, "DEMO_API_KEY": "sk_test_x"}
        following = await asyncio.create_subprocess_exec(
            sys.executable, "-u", "-m", "platform_cli.app", "tail", "--after", "evt_0", "--json", env=env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert following.stdout
        assert following.stderr
        await asyncio.wait_for(following.stdout.readline(), 20)
    waiting = await asyncio.wait_for(following.stderr.readuntil(b"waiting for it\n"), 20)
    assert waiting
    async with a_server(second, port=int(url.rpartition(":")[2])):
        async with asyncio.timeout(20):
            while json.loads(await following.stdout.readline())["id"] != "evt_2":
                pass
        following.send_signal(signal.SIGINT)
        assert await following.wait() == 0


def test_nobody_there_is_told_with_what_to_do() -> None:
    env = os.environ | {"GATEWAY_URL": "http://127.0.0.1:9", "DEMO_API_KEY": "sk_test_x"}
    command = [sys.executable, "-m", "platform_cli.app", "list"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "make up" in done.stderr) == (2, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion(shell: str) -> None:
    command = [sys.executable, "-m", "platform_cli.app", "completion", shell]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "_PLATFORM_COMPLETE" in done.stdout


def test_the_help_fits_80_columns_and_names_every_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "platform_cli.app", "--help"], env=os.environ | {"COLUMNS": "80"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert all(
        f" {name} " in done.stdout for name in ("pay", "tail", "endpoints", "verify-ledger", "completion")
    )


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
