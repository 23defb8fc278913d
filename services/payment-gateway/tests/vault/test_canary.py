"""Card numbers are sent through every door that there is, and then looked for in everything that was left behind."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from canary_rig import (
    Processes,
    body_with,
    everything_in,
    everything_in_redis,
    everything_written,
    leaves,
    running_processes,
)
from gateway_rig import ADMIN
from vault_rig import a_card

from platform_cli.embedded.testing import FreshDatabase, TestDatabase
from platform_cli.privacy.scan_databases import scan_postgres, scan_redis
from platform_cli.privacy.scan_files import scan_files
from platform_cli.privacy.sought import sought_of

CARDS = ("4242424242424242", "5555555555554444", "4000000000009995")  # two that pay, and one that does not
STRANGER = "4012888888881881"  # a card number that the vault does not take
LONG_CVC = "91827364"
SPELLINGS = re.compile(
    "|".join("[ -]?".join(number) for number in (*CARDS, STRANGER)) + f"|{LONG_CVC}|" + r"cvc\W{1,6}\d{3}"
)
A_SALE = {"amount_minor": 1250, "currency": "EUR", "method": {"type": "card", "card": {"token": "tok_visa"}}}


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> TestDatabase:
    return await fresh_database("payments")


@pytest.fixture
async def processes(database: TestDatabase, clean_redis_url: str, tmp_path: Path) -> AsyncIterator[Processes]:
    async with running_processes(database, clean_redis_url, tmp_path) as running:
        status, body, _ = await running.call(
            "POST", "/v1/merchants", json={"name": "Shop", "country": "DE"},
            headers={"Authorization": f"Bearer {ADMIN}"},
        )  # fmt: skip
        assert status == 201, body
        running.key = orjson.loads(body)["api_key"]
        yield running


def _found(text: str) -> str | None:
    match = SPELLINGS.search(text)
    return text[max(0, match.start() - 200) : match.end() + 40] if match else None


class Sweep:
    """Sends, and keeps every answer in which a canary came back."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.sent = 0
        self.echoes: list[str] = []

    async def send(self, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
        self.sent += 1
        options["headers"] = {"Idempotency-Key": f"canary-{self.sent}", **options.get("headers", {})}
        status, body, headers = await self.processes.call(method, path, **options)
        if echo := _found(body + headers):
            self.echoes.append(f"{method} {path}: {echo}")
        try:
            return status, orjson.loads(body)
        except orjson.JSONDecodeError:
            return status, {}

    async def save_and_pay(self) -> None:
        """The one way in: the vault; its cards pay, are declined, are refunded."""
        for number in CARDS:
            status, method = await self.send("POST", "/v1/payment-methods", json=a_card(number))
            assert status == 201, method
            sale = {"amount_minor": 1250, "currency": "EUR", "payment_method": method["id"]}
            status, payment = await self.send("POST", "/v1/payments", json=sale)
            assert (status, payment["status"]) in [(201, "captured"), (201, "declined")]
            await self.send("POST", f"/v1/payments/{payment['id']}/refunds", json={})
        for changes in ({"number": STRANGER}, {"cvc": LONG_CVC}, {"exp_year": 2000}, {"pin": CARDS[0]}):
            status, _ = await self.send(
                "POST", "/v1/payment-methods", json=a_card(**{"number": CARDS[0], **changes})
            )
            assert status == 422
        assert (
            await self.send("POST", "/v1/payment-methods", data=b'{"card": {"number": "' + CARDS[0].encode())
        )[0] in (400, 415)

    async def every_door(self) -> None:
        """Every route, by every parameter, header and member of its body."""
        _, text, _ = await self.processes.call(
            "GET", "/openapi.json"
        )  # its example is one of the public numbers
        api = orjson.loads(text)
        schemas = api["components"]["schemas"]
        for path, methods in api["paths"].items():
            for method, route in methods.items():
                plain = re.sub(r"\{\w+\}", "none", path)
                for parameter in route.get("parameters", []):
                    if parameter["in"] == "path":
                        await self.send(method.upper(), re.sub(r"\{\w+\}", CARDS[0], path), json={})
                    elif parameter["in"] == "query":
                        await self.send(method.upper(), f"{plain}?{parameter['name']}={CARDS[0]}")
                body = (
                    route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
                )
                for place in leaves(body, schemas) if body else ():
                    if place[-2:] == ("card", "number"):
                        continue  # the way in
                    for value in (
                        CARDS[1],
                        "4242 4242 4242 4242",
                        int(CARDS[0]),
                        [CARDS[0]],
                        {CARDS[0]: CARDS[0]},
                    ):
                        base = A_SALE if path == "/v1/payments" else {}
                        await self.send(method.upper(), plain, json=base | body_with(place, value))
        for header in (
            "Idempotency-Key",
            "X-Request-Id",
            "traceparent",
            "User-Agent",
            "Authorization",
            "Content-Type",
        ):
            await self.send("POST", "/v1/payments", data=orjson.dumps(A_SALE), headers={
                "Content-Type": "application/json", header: CARDS[0],
            })  # fmt: skip

    async def crash(self, database: TestDatabase) -> None:
        """The card's own table goes away, then the table that names it: two bugs with a card in their hands. And a kill
        while cards are being kept."""
        admin = await asyncpg.connect(database.admin_url)
        try:
            for table in ("vault.card", "payments.payment_method"):
                schema, name = table.split(".")
                await admin.execute(f"ALTER TABLE {table} RENAME TO hidden")
                status, _ = await self.send("POST", "/v1/payment-methods", json=a_card(CARDS[1]))
                assert status >= 500
                await admin.execute(f"ALTER TABLE {schema}.hidden RENAME TO {name}")
        finally:
            await admin.close()
        sending = [
            asyncio.ensure_future(self.processes.call("POST", "/v1/payment-methods", json=a_card(CARDS[0])))
            for _ in range(8)
        ]
        await asyncio.sleep(0.005)
        self.processes.api.kill()
        await asyncio.gather(*sending, return_exceptions=True)


async def test_no_card_number_and_no_security_code_is_anywhere_but_sealed_in_the_vault(
    processes: Processes, database: TestDatabase, clean_redis_url: str
) -> None:
    sweep = Sweep(processes)
    await sweep.save_and_pay()
    await sweep.every_door()
    await sweep.crash(database)
    assert sweep.sent > 100

    hits = list(sweep.echoes)
    searched = 0
    async for place, text in everything_in(database):
        searched += 1
        hits += [f"{place}: {found}" for found in [_found(text)] if found]
    async for place, text in everything_in_redis(clean_redis_url):
        searched += 1
        hits += [f"{place}: {found}" for found in [_found(text)] if found]
    for place, text in everything_written(processes.logs):
        searched += 1
        hits += [f"{place}: {found}" for found in [_found(text)] if found]
    assert hits == [], "\n".join(hits)
    assert searched > 100


PERSON = {
    "id": "ada-lovelace-17",
    "ip": "203.0.113.77",
    "device_id": "device-of-ada-0451",
    "email": "Ada.Lovelace@example.org",
}
SAVED = {"name": "Ada Augusta King", "email": "countess@example.org", "description": "met at Babbage's salon"}


async def test_nothing_of_a_person_is_readable_in_any_table_stream_journal_or_log(
    processes: Processes, database: TestDatabase, clean_redis_url: str
) -> None:
    """Paid, saved, declined, refused and crashed on, with every process at level DEBUG."""
    sweep = Sweep(processes)
    sale = A_SALE | {"customer": PERSON}
    assert (await sweep.send("POST", "/v1/payments", json=sale))[0] in (201, 202)
    declined = {"type": "card", "card": {"token": "tok_declined"}}
    await sweep.send("POST", "/v1/payments", json=sale | {"method": declined})
    await sweep.send(
        "POST", "/v1/payments", json=sale | {"amount_minor": -1}
    )  # refused with the person in hand
    await sweep.send("POST", "/v1/customers", json=SAVED)
    await sweep.send("GET", "/v1/payments")
    admin = await asyncpg.connect(database.admin_url)
    try:
        for table in ("vault.subject", "payments.payment"):  # two bugs, with somebody in their hands
            schema, name = table.split(".")
            await admin.execute(f"ALTER TABLE {table} RENAME TO hidden")
            status, _ = await sweep.send(
                "POST", "/v1/payments", json=sale | {"customer": PERSON | {"id": name}}
            )
            assert status >= 500
            await admin.execute(f"ALTER TABLE {schema}.hidden RENAME TO {name}")
    finally:
        await admin.close()
    sought = sought_of([*PERSON.values(), *SAVED.values()], [])
    found = await scan_postgres(database.admin_url, sought)
    found.add(await scan_redis(clean_redis_url, sought))
    found.add(scan_files(f"file://{processes.logs}", sought))
    places = found.places
    assert [place for place in places if place.values] == []
    assert found.left_out == []
    assert {"payments.payment", "vault.subject"} <= {place.place for place in places if place.read}


def test_the_search_finds_what_it_is_looking_for() -> None:
    assert _found('{"n":"4242 4242 4242 4242"}')
    assert _found("card=5555-5555-5555-4444")
    assert _found("{'cvc': '737'}")
    assert not _found("4000000000000002 and cvc_check: pass")
