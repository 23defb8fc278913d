"""Personal data when something goes wrong: a vault that does not answer, keys that are missing, who comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from gateway_rig import RunningGateway, run_gateway
from sqlalchemy import text

from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.erase_subjects import erase_subjects, forget_unreported
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks
from payment_gateway.store.tables import outbox
from platform_cli.embedded.testing import FreshDatabase, TestDatabase
from platform_kit.outbox import Relay
from platform_kit.redis import create_redis

PAYER = {"id": "ada-lovelace-17", "email": "ada.lovelace@example.org"}


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> TestDatabase:
    return await fresh_database("payments")


@pytest.fixture
async def gateway(database: TestDatabase, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    """One that forgets keys at once."""
    async with run_gateway(database, tmp_path / "journals", subjects_remembered_s=0) as running:
        yield running


async def as_owner(database: TestDatabase, statement: str) -> list[Any]:
    connection = await asyncpg.connect(database.admin_url)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


async def number_events(gateway: RunningGateway) -> None:
    async with create_redis("redis://127.0.0.1:1/0") as nobody:  # numbered, not published
        await Relay(gateway.deps.engine, outbox, nobody, "none").assign()


async def asked_to_erase(gateway: RunningGateway, **whom: str) -> dict[str, Any]:
    asked = await gateway.post("/v1/erasures", whom)
    assert asked.status == 201, asked.raw
    return asked.body


async def test_a_vault_that_does_not_answer_is_no_failure_of_a_merchants_server(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    heard: list[dict[str, Any]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(orjson.loads(await request.read()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hear)
    async with TestServer(app) as receiver:
        made = await gateway.post("/v1/webhook-endpoints", {"url": str(receiver.make_url("/hook"))})
        assert made.status == 201, made.raw
        await gateway.pay()
        paid = await gateway.pay(customer=PAYER)
        await number_events(gateway)
        await fan_out_webhooks(gateway.deps)
        await as_owner(database, "ALTER TABLE vault.subject RENAME TO gone")
        for _ in range(4):  # one place at a time, while it is not known to be quick
            await deliver_webhooks(gateway.deps)
        assert {event["data"]["payment"]["customer"] is None for event in heard} == {True}
        waiting = await as_owner(
            database,
            "SELECT attempts, due_at > now() AS leased FROM payments.webhook_delivery WHERE status = 'due'",
        )
        assert waiting
        assert {(row["attempts"], row["leased"]) for row in waiting} == {(0, True)}
        (endpoint,) = await as_owner(database, "SELECT failing_since FROM payments.webhook_endpoint")
        assert endpoint["failing_since"] is None

        await as_owner(database, "ALTER TABLE vault.gone RENAME TO subject")
        await as_owner(database, "UPDATE payments.webhook_delivery SET due_at = now() WHERE status = 'due'")
        assert await deliver_webhooks(gateway.deps) == len(waiting)
        told = [
            event["data"]["payment"] for event in heard if event["data"]["payment"]["id"] == paid.body["id"]
        ]
        assert told
        assert {orjson.dumps(one["customer"]) for one in told} == {orjson.dumps(PAYER)}


async def test_a_key_that_this_process_does_not_have_yet_is_no_bug(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    paid = await gateway.pay(customer=PAYER)
    await as_owner(
        database, "UPDATE vault.subject SET kek_id = 'next'"
    )  # by a process that was restarted first
    again = await gateway.pay(customer=PAYER)
    shown = await gateway.call("GET", f"/v1/payments/{paid.body['id']}")
    for refused in (again, shown):
        assert (refused.status, refused.problem) == (503, "vault-key-missing")
        assert refused.headers["Retry-After"]


async def test_one_erasure_that_fails_keeps_no_other(gateway: RunningGateway, database: TestDatabase) -> None:
    await gateway.pay(customer={"id": "first"})
    await gateway.pay(customer={"id": "second"})
    broken, whole = (
        await asked_to_erase(gateway, customer="first"),
        await asked_to_erase(gateway, customer="second"),
    )
    await as_owner(
        database,
        f"UPDATE payments.erasure SET subjects = '[{{}}]' WHERE id = '{broken['id']}'",
    )
    assert await erase_subjects(gateway.deps) == 1
    found = await as_owner(database, "SELECT id, status, due_at > now() AS later FROM payments.erasure")
    assert {row["id"]: (row["status"], row["later"]) for row in found} == {
        broken["id"]: ("waiting", True),
        whole["id"]: ("erased", False),
    }


async def test_what_a_scan_would_look_for_is_forgotten_after_thirty_days(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    await gateway.pay(customer=PAYER)
    await asked_to_erase(gateway, customer=PAYER["id"])
    assert await erase_subjects(gateway.deps) == 1
    assert await forget_unreported(gateway.deps) == 0
    await as_owner(database, "UPDATE payments.erasure SET erased_at = now() - interval '31 days'")
    assert await forget_unreported(gateway.deps) == 1
    (row,) = await as_owner(database, "SELECT sought FROM payments.erasure")
    assert row["sought"] is None


async def saved_with_billing(gateway: RunningGateway) -> tuple[str, str]:
    """A saved customer, and their payment method."""
    customer = (await gateway.post("/v1/customers", {"name": "Ada Augusta King"})).body["id"]
    method = {"type": "card", "card": {"token": "tok_visa"}, "billing_details": {"name": "A. A. King"}}
    saved = (await gateway.post("/v1/payment-methods", method)).body["id"]
    await gateway.post(f"/v1/payment-methods/{saved}/attach", {"customer_id": customer})
    return customer, saved


async def keys_alive(database: TestDatabase) -> int:
    (row,) = await as_owner(database, "SELECT count(wrapped_key) AS alive FROM vault.subject")
    return int(row["alive"])


async def test_whoever_is_erased_as_a_payer_loses_the_keys_of_their_billing_details_too(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    customer, _ = await saved_with_billing(gateway)
    assert len((await asked_to_erase(gateway, customer=customer))["subjects"]) == 2
    assert await erase_subjects(gateway.deps) == 1
    assert await keys_alive(database) == 1  # of what the scan seeks


async def test_a_detached_payment_method_takes_the_key_of_its_billing_details_along(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    _, method = await saved_with_billing(gateway)
    assert await keys_alive(database) == 2
    await gateway.post(f"/v1/payment-methods/{method}/detach")
    assert await keys_alive(database) == 1  # of the customer


async def test_who_comes_back_before_the_erasure_is_done_is_listed_whole(gateway: RunningGateway) -> None:
    first = await gateway.pay(customer=PAYER)
    await asked_to_erase(gateway, customer=PAYER["id"])
    second = await gateway.pay(customer=PAYER)
    listed = await gateway.call("GET", "/stripe/v1/payment_intents", params={"customer": PAYER["id"]})
    assert {one["id"][3:] for one in listed.body["data"]} == {
        str(paid.body["id"])[4:] for paid in (first, second)
    }


async def test_events_show_the_payer_as_the_payment_has_them_now(gateway: RunningGateway) -> None:
    paid = (await gateway.pay(customer=PAYER, confirm=False)).body["id"]
    other = {"id": "grace-hopper-9"}
    assert (await gateway.post(f"/v1/payments/{paid}", {"customer": other})).status == 200
    await number_events(gateway)
    events = (await gateway.call("GET", f"/v1/events?aggregate_id={paid}")).body["data"]
    assert [event["data"]["payment"]["customer"] for event in events] == [other, other]


@pytest.mark.parametrize("meanwhile", ["erased", "in clear"])
async def test_risk_knows_by_token_who_was_erased_or_never_sealed_before_the_payment_is_confirmed(
    gateway: RunningGateway, database: TestDatabase, meanwhile: str
) -> None:
    paid = (await gateway.pay(customer=PAYER, confirm=False)).body["id"]
    if meanwhile == "erased":
        await asked_to_erase(gateway, customer=PAYER["id"])
        await erase_subjects(gateway.deps)
    else:
        async with gateway.deps.engine.begin() as connection:
            await connection.execute(
                text("UPDATE payments.payment SET customer = CAST(:told AS jsonb)"),
                {"told": orjson.dumps(PAYER).decode()},
            )
    (subject,) = await as_owner(database, "SELECT id FROM vault.subject ORDER BY created_at LIMIT 1")
    confirmed = await gateway.post(f"/v1/payments/{paid}/confirm")
    assert confirmed.status == 200, confirmed.raw
    told = gateway.risk.asked[-1]["customer"]
    assert (told["id"], told["email"]) == (subject["id"], None if meanwhile == "erased" else PAYER["email"])


async def test_a_repeated_key_adds_nobody_to_the_vault(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    first = await gateway.pay(key="once", customer=PAYER)
    await asked_to_erase(gateway, customer=PAYER["id"])
    await erase_subjects(gateway.deps)
    again = await gateway.pay(key="once", customer=PAYER)
    assert (again.status, again.body["id"]) == (201, first.body["id"])
    assert await keys_alive(database) == 1  # of what the scan seeks
