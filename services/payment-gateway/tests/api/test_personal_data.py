"""Personal data is sealed where it lies, a token where it leaves, clear to its merchant, and gone when its key is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from gateway_rig import ADMIN, RunningGateway, run_gateway
from money_rig import disputed, operate, ready
from sqlalchemy import text

from payment_gateway.operations.erase_subjects import erase_subjects
from payment_gateway.operations.seal_personal_data import seal_personal_data
from payment_gateway.store.tables import outbox
from platform_cli.embedded.testing import FreshDatabase, TestDatabase
from platform_kit.outbox import Relay
from platform_kit.redis import create_redis

PAYER = {
    "id": "ada-lovelace-17",
    "country": "GB",
    "ip": "203.0.113.77",
    "device_id": "device-of-ada-0451",
    "email": "ada.lovelace@example.org",
}
SAVED = {
    "name": "Ada Augusta King",
    "email": "countess@example.org",
    "description": "met at the salon of Babbage",
    "metadata": {"phone": "+44 20 7946 0958"},
}
BILLING = {"name": "A. A. King", "phone": "+44 20 7946 0112", "address": {"line1": "12 St James Square 99"}}
CLEAR = (
    *(value for name, value in PAYER.items() if name != "country"),
    SAVED["name"], SAVED["email"], SAVED["description"], "7946 0958", "7946 0112", "St James Square",
)  # fmt: skip
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> TestDatabase:
    return await fresh_database("payments")


@pytest.fixture
async def gateway(database: TestDatabase, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    """One that forgets keys at once, so that an erasure is due at once."""
    async with run_gateway(
        database, tmp_path / "journals", subjects_remembered_s=0, channel_timeout_s=20.0
    ) as running:
        yield running


async def found_in(database: TestDatabase, *values: Any) -> list[str]:
    """Each table that holds one of the values readably, in whatever column."""
    connection = await asyncpg.connect(database.admin_url)
    hits = []
    try:
        for table in await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ):
            for row in await connection.fetch(f"SELECT * FROM {table['name']}"):
                told = " ".join(
                    one.decode("latin-1") if isinstance(one, bytes) else str(one) for one in row.values()
                )
                hits += [f"{table['name']}: {value}" for value in values if str(value) in told]
    finally:
        await connection.close()
    return hits


async def everything_told(gateway: RunningGateway) -> tuple[str, str]:
    """A payer, a saved customer with billing details who pays, a dispute; returns the payment and the customer."""
    paid = await gateway.pay(customer=PAYER)
    assert (paid.status, paid.body.get("customer")) == (201, PAYER), paid.raw
    customer = (await gateway.post("/v1/customers", SAVED)).body
    assert {name: customer[name] for name in SAVED} == SAVED
    method = {"type": "card", "card": {"token": "tok_visa"}, "billing_details": BILLING}
    saved = (await gateway.post("/v1/payment-methods", method)).body
    assert saved["billing_details"] == BILLING
    await gateway.post(f"/v1/payment-methods/{saved['id']}/attach", {"customer_id": customer["id"]})
    bought = {
        "amount_minor": 700, "currency": "EUR", "payment_method": saved["id"], "customer_id": customer["id"],
    }  # fmt: skip
    assert (await gateway.post("/v1/payments", bought)).body["customer"] == {"id": customer["id"]}
    return str(paid.body["id"]), str(customer["id"])


async def number_events(gateway: RunningGateway) -> None:
    async with create_redis("redis://127.0.0.1:1/0") as nobody:  # numbered, not published
        await Relay(gateway.deps.engine, outbox, nobody, "none").assign()


async def disputed_now(gateway: RunningGateway, payment_id: str) -> dict[str, Any]:
    """A dispute that the bank opens once the payment is captured, however slow this machine is."""
    await operate(gateway, channel_key=await ready(gateway, payment_id))
    return await disputed(gateway, payment_id)


async def erased(gateway: RunningGateway, **whom: str) -> dict[str, Any]:
    asked = await gateway.post("/v1/erasures", whom)
    assert (asked.status, asked.body["status"]) == (201, "waiting"), asked.raw
    await erase_subjects(gateway.deps)
    return (await gateway.call("GET", f"/v1/erasures/{asked.body['id']}")).body


async def test_no_table_holds_in_clear_what_merchants_say_of_people(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    await everything_told(gateway)
    assert await found_in(database, *CLEAR) == []


async def test_the_merchant_reads_it_back_at_each_of_its_doors(gateway: RunningGateway) -> None:
    payment_id, customer_id = await everything_told(gateway)
    assert (await gateway.payment(payment_id))["customer"] == PAYER
    assert (await gateway.call("GET", "/v1/payments")).body["data"][-1]["customer"] == PAYER
    await number_events(gateway)
    events = (await gateway.call("GET", f"/v1/events?aggregate_id={payment_id}")).body["data"]
    assert {orjson.dumps(event["data"]["payment"]["customer"]) for event in events} == {orjson.dumps(PAYER)}
    one = (await gateway.call("GET", f"/v1/events/{events[0]['id']}")).body
    assert one["data"]["payment"]["customer"] == PAYER

    intent = await gateway.call("GET", f"/stripe/v1/payment_intents/pi_{payment_id[4:]}")
    assert (intent.body["customer"], intent.body["receipt_email"]) == (PAYER["id"], PAYER["email"])
    theirs = await gateway.call("GET", f"/stripe/v1/payment_intents?customer={customer_id}")
    assert [one["customer"] for one in theirs.body["data"]] == [customer_id]
    saved = (await gateway.call("GET", f"/stripe/v1/customers/{customer_id}")).body
    assert {name: saved[name] for name in SAVED} == SAVED
    listed = (await gateway.call("GET", "/v1/customers", params={"email": SAVED["email"]})).body["data"]
    assert [one["name"] for one in listed] == [SAVED["name"]]
    assert (await gateway.call("GET", "/v1/customers", params={"email": "no@example.org"})).body["data"] == []


async def test_a_customer_that_changes_keeps_what_was_not_named(gateway: RunningGateway) -> None:
    customer = (await gateway.post("/v1/customers", SAVED)).body["id"]
    changed = (await gateway.post(f"/v1/customers/{customer}", {"email": "new@example.org"})).body
    assert {name: changed[name] for name in SAVED} == SAVED | {"email": "new@example.org"}
    raw = b"metadata[seat]=12"
    changed = (await gateway.call("POST", f"/stripe/v1/customers/{customer}", raw=raw, headers=FORM)).body
    assert changed["metadata"] == {**SAVED["metadata"], "seat": "12"}
    found = (await gateway.call("GET", "/v1/customers", params={"email": "new@example.org"})).body["data"]
    assert [one["id"] for one in found] == [customer]


async def test_a_repeated_key_answers_with_the_same_bytes(gateway: RunningGateway) -> None:
    first = await gateway.pay(key="once", customer=PAYER)
    again = await gateway.pay(key="once", customer=PAYER)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.raw == first.raw


async def test_risk_knows_the_payer_by_the_token_and_events_by_nothing_else(gateway: RunningGateway) -> None:
    one, other = await gateway.pay(customer=PAYER), await gateway.pay(customer={"id": PAYER["id"]})
    assert (one.status, other.status) == (201, 201)
    told = [asked["customer"] for asked in gateway.risk.asked]
    assert told[0]["id"] == told[1]["id"] != PAYER["id"]
    assert {name: told[0][name] for name in ("ip", "email")} == {
        name: PAYER[name] for name in ("ip", "email")
    }
    async with gateway.deps.engine.connect() as connection:
        customers = (
            await connection.execute(
                text(
                    "SELECT DISTINCT data #> '{payment,customer}' FROM payments.outbox_event WHERE data ? 'payment'"
                )
            )
        ).scalars()
        assert list(customers) == [{"subject": told[0]["id"]}]


async def test_two_merchants_customers_of_one_name_are_two_subjects(gateway: RunningGateway) -> None:
    _, key = await gateway.new_merchant()
    await gateway.pay(customer=PAYER)
    await gateway.post("/v1/payments", orjson.loads(orjson.dumps(_sale())), token=key)
    first, second = (asked["customer"]["id"] for asked in gateway.risk.asked)
    assert first != second


def _sale() -> dict[str, Any]:
    method = {"type": "card", "card": {"token": "tok_visa"}}
    return {"amount_minor": 1250, "currency": "EUR", "method": method, "customer": PAYER}


async def test_an_erased_payer_is_unreadable_to_everybody_and_the_payment_stays(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    payment_id, _ = await everything_told(gateway)
    before = await gateway.payment(payment_id)
    done = await erased(gateway, customer=PAYER["id"])
    assert (done["status"], len(done["subjects"]), done["report"]) == ("erased", 1, None)
    after = await gateway.payment(payment_id)
    assert after == before | {"customer": {"erased": True}}
    await number_events(gateway)
    events = (await gateway.call("GET", f"/v1/events?aggregate_id={payment_id}")).body["data"]
    assert events[0]["data"]["payment"]["customer"] == {"erased": True}
    intent = (await gateway.call("GET", f"/stripe/v1/payment_intents/pi_{payment_id[4:]}")).body
    assert (intent["customer"], intent["receipt_email"]) == (None, None)
    assert await found_in(database, PAYER["email"], PAYER["id"]) == []
    async with gateway.deps.vault.opened()[0].connect() as connection:
        keys = await connection.execute(
            text("SELECT wrapped_key, kek_id, reference FROM vault.subject WHERE erased_at IS NOT NULL")
        )
        assert keys.all() == [(None, None, None)]


async def test_who_comes_back_after_an_erasure_is_somebody_new(gateway: RunningGateway) -> None:
    await gateway.pay(customer=PAYER)
    await erased(gateway, customer=PAYER["id"])
    again = await gateway.pay(customer=PAYER)
    assert again.body["customer"] == PAYER
    first, second = (asked["customer"]["id"] for asked in gateway.risk.asked)
    assert first != second


async def test_an_erased_customer_is_deleted_with_the_billing_details(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    _, customer_id = await everything_told(gateway)
    done = await erased(gateway, customer_id=customer_id)
    assert (done["status"], len(done["subjects"])) == ("erased", 2)  # the customer, and their payment method
    assert (await gateway.call("GET", f"/v1/customers/{customer_id}")).status == 404
    asked_again = await gateway.post("/v1/erasures", {"customer_id": customer_id})
    assert (asked_again.status, asked_again.problem) == (422, "unknown-reference")


@pytest.mark.parametrize("whom", [{}, {"customer": "a", "email": "a@b.example"}, {"customer": None}])
async def test_an_erasure_names_exactly_one(gateway: RunningGateway, whom: dict[str, Any]) -> None:
    assert (await gateway.post("/v1/erasures", whom)).status == 422


async def test_nobody_is_erased_twice_and_strangers_not_at_all(gateway: RunningGateway) -> None:
    await gateway.pay(customer=PAYER)
    first = await gateway.post("/v1/erasures", {"customer": PAYER["id"]}, key="forget")
    again = await gateway.post("/v1/erasures", {"customer": PAYER["id"]}, key="forget")
    assert first.raw == again.raw
    other = await gateway.post("/v1/erasures", {"customer": PAYER["id"]})  # still the same subject
    assert other.body["subjects"] == first.body["subjects"]
    assert await erase_subjects(gateway.deps) == 2
    assert await erase_subjects(gateway.deps) == 0
    _, stranger = await gateway.new_merchant()
    theirs = await gateway.post("/v1/erasures", {"customer": PAYER["id"]}, token=stranger)
    assert theirs.problem == "unknown-reference"
    seen = await gateway.call("GET", f"/v1/erasures/{first.body['id']}", token=stranger)
    assert seen.status == 404


async def test_guests_are_found_by_their_mail_and_by_their_payment(gateway: RunningGateway) -> None:
    by_mail = await gateway.pay(customer={"email": "Guest@Example.org"})
    unknown = await gateway.pay(customer={"ip": "203.0.113.9"})
    assert (await erased(gateway, email="guest@example.org"))["status"] == "erased"
    assert (await erased(gateway, payment_id=unknown.body["id"]))["status"] == "erased"
    for paid in (by_mail, unknown):
        assert (await gateway.payment(paid.body["id"]))["customer"] == {"erased": True}
        again = await gateway.post("/v1/erasures", {"payment_id": paid.body["id"]})
        assert (again.status, again.problem) == (422, "unknown-reference")


async def test_an_open_dispute_keeps_the_key_until_it_is_over(gateway: RunningGateway) -> None:
    paid = await gateway.pay(customer=PAYER)
    dispute = await disputed_now(gateway, str(paid.body["id"]))
    words = {"customer_name": "Ada Augusta King"}
    given = await gateway.post(f"/v1/disputes/{dispute['id']}/evidence", {"evidence": words})
    assert given.body["evidence"] == words
    blocked = await erased(gateway, customer=PAYER["id"])
    assert (blocked["status"], blocked["blocked_by"][0]["dispute_id"]) == ("blocked", dispute["id"])
    assert (await gateway.payment(paid.body["id"]))["customer"] == PAYER

    assert (await gateway.post(f"/v1/disputes/{dispute['id']}/accept")).status == 200
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text("UPDATE payments.erasure SET due_at = now()"))
    assert await erase_subjects(gateway.deps) == 1
    assert (await gateway.payment(paid.body["id"]))["customer"] == {"erased": True}
    closed = (await gateway.call("GET", f"/v1/disputes/{dispute['id']}")).body
    assert closed["evidence"] == {}


async def test_evidence_is_sealed_and_laid_over_what_was_given_before(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    paid = await gateway.pay()  # of nobody in particular
    dispute = await disputed_now(gateway, str(paid.body["id"]))
    path = f"/v1/disputes/{dispute['id']}/evidence"
    await gateway.post(path, {"evidence": {"customer_name": "Ada Augusta King"}})
    both = await gateway.post(path, {"evidence": {"note": "signed for at 12 St James Square"}})
    assert both.body["evidence"] == {
        "customer_name": "Ada Augusta King", "note": "signed for at 12 St James Square",
    }  # fmt: skip
    assert await found_in(database, "Ada Augusta King", "St James Square") == []

    assert (await gateway.post(f"/v1/disputes/{dispute['id']}/accept")).status == 200
    assert (await erased(gateway, payment_id=paid.body["id"]))["status"] == "erased"
    assert (await gateway.call("GET", f"/v1/disputes/{dispute['id']}")).body["evidence"] == {}


async def test_a_report_is_attached_and_a_clean_one_forgets_what_was_sought(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    await gateway.pay(customer=PAYER)
    asked = (await gateway.post("/v1/erasures", {"customer": PAYER["id"]})).body["id"]
    path = f"/v1/admin/erasures/{asked}"
    assert (await gateway.call("GET", path, token=ADMIN)).problem == "not-erased-yet"
    await erase_subjects(gateway.deps)
    assert (await gateway.call("GET", path)).status == 401
    sought = (await gateway.call("GET", path, token=ADMIN)).body["sought"]
    assert set(sought) == set(PAYER.values()) - {"GB"}
    assert await found_in(database, *sought) == []

    place = {"place": "payments.payment", "read": 1, "values": 1, "tokens": 1}
    report = {
        "verdict": "readable", "scanned_at": "2026-11-27T12:00:00Z", "places": [place], "values_sought": 4,
    }  # fmt: skip
    nothing_sought: dict[str, Any] = {"values_sought": 0, "places": [place | {"values": 0}]}
    for lie in ({}, nothing_sought):
        raw = orjson.dumps(report | {"verdict": "clean"} | lie)
        assert (await gateway.call("POST", f"{path}/report", token=ADMIN, raw=raw)).status == 422
    first = await gateway.call("POST", f"{path}/report", token=ADMIN, raw=orjson.dumps(report))
    assert first.body["report"]["verdict"] == "readable"
    assert (await gateway.call("GET", path, token=ADMIN)).body["sought"] == sought
    clean = orjson.dumps(report | {"verdict": "clean", "places": [place | {"values": 0}]})
    assert (await gateway.call("POST", f"{path}/report", token=ADMIN, raw=clean)).status == 200
    assert (await gateway.call("GET", path, token=ADMIN)).body["sought"] is None
    shown = (await gateway.call("GET", f"/v1/erasures/{asked}")).body
    assert shown["report"]["verdict"] == "clean"
    acts = (await gateway.call("GET", "/v1/audit-log")).body["data"]
    assert [act["action"] for act in acts if act["action"].startswith("erasure.")][::-1] == [
        "erasure.requested", "erasure.erased", "erasure.values_read", "erasure.reported",
        "erasure.values_read", "erasure.reported", "erasure.values_read",
    ]  # fmt: skip


async def test_what_an_older_version_kept_in_clear_is_sealed_by_a_job(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    payment_id, customer_id = await everything_told(gateway)
    async with gateway.deps.engine.begin() as connection:
        for statement, values in (
            ("UPDATE payments.payment SET customer = CAST(:told AS jsonb) WHERE id = :id",
             {"told": orjson.dumps(PAYER).decode(), "id": payment_id}),
            ("UPDATE payments.customer SET personal = NULL, email_hash = NULL, name = :name, email = :email,"
             " description = :description, metadata = CAST(:metadata AS jsonb) WHERE id = :id",
             SAVED | {"metadata": orjson.dumps(SAVED["metadata"]).decode(), "id": customer_id}),
            ("UPDATE payments.payment_method SET billing_details = CAST(:told AS jsonb)",
             {"told": orjson.dumps(BILLING).decode()}),
        ):  # fmt: skip
            await connection.execute(text(statement), values)
    refused = await gateway.post("/v1/erasures", {"customer": PAYER["id"]})
    assert (refused.status, refused.problem) == (503, "still-sealing")
    assert len(await found_in(database, PAYER["email"], SAVED["email"], BILLING["name"])) == 3
    assert await seal_personal_data(gateway.deps, batch=1) == 3
    assert await found_in(database, *CLEAR) == []
    assert (await gateway.payment(payment_id))["customer"] == PAYER
    customer = (await gateway.call("GET", f"/v1/customers/{customer_id}")).body
    assert {name: customer[name] for name in SAVED} == SAVED


async def test_without_a_vault_no_personal_data_is_taken(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path / "journals", vault_keys="") as closed:
        assert (await closed.pay()).status == 201
        refused = await closed.pay(customer=PAYER)
        assert (refused.status, refused.problem) == (503, "vault-closed")


async def test_what_an_older_process_writes_beside_what_is_sealed_is_read_kept_and_sealed(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    old = (await gateway.post("/v1/customers", SAVED)).body["id"]
    sealed = (await gateway.post("/v1/customers", SAVED)).body["id"]
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE payments.customer SET personal = NULL, email_hash = NULL, name = :name, email = :email,"
                " description = :description, metadata = CAST(:metadata AS jsonb) WHERE id = :id"
            ),
            SAVED | {"metadata": orjson.dumps(SAVED["metadata"]).decode(), "id": old},
        )
        await connection.execute(  # what it does not know of, it does not repeat
            text("UPDATE payments.customer SET name = 'Ada Lovelace-King' WHERE id = :id"), {"id": sealed}
        )
    changed = (await gateway.post(f"/v1/customers/{old}", {"email": "new@example.org"})).body
    assert {name: changed[name] for name in SAVED} == SAVED | {"email": "new@example.org"}
    newer = SAVED | {"name": "Ada Lovelace-King"}
    shown = (await gateway.call("GET", f"/v1/customers/{sealed}")).body
    assert {name: shown[name] for name in SAVED} == newer

    asked = await gateway.post("/v1/erasures", {"customer_id": sealed})
    assert (asked.status, asked.problem) == (503, "still-sealing")
    assert await seal_personal_data(gateway.deps) == 1
    assert await found_in(database, "Lovelace-King", "new@example.org") == []
    shown = (await gateway.call("GET", f"/v1/customers/{sealed}")).body
    assert {name: shown[name] for name in SAVED} == newer


@pytest.mark.parametrize("token", ["x", "live"])
async def test_metadata_that_look_sealed_are_the_merchants_own_words(
    gateway: RunningGateway, token: str
) -> None:
    if token == "live":
        await gateway.pay(customer=PAYER)
        token = gateway.risk.asked[0]["customer"]["id"]
    forged = {"subject": token, "sealed": "eA==", "member": "email"}
    paid = await gateway.pay(metadata=forged)
    assert (paid.status, paid.body["metadata"]) == (201, forged)
    assert (await gateway.call("GET", "/v1/payments")).body["data"][0]["metadata"] == forged
    customer = (await gateway.post("/v1/customers", {"metadata": forged})).body
    assert customer["metadata"] == forged


async def test_a_customer_whose_subject_is_closed_is_deleted_and_changes_no_more(
    gateway: RunningGateway,
) -> None:
    _, customer_id = await everything_told(gateway)
    asked = await gateway.post("/v1/erasures", {"customer": customer_id})  # as the payer that they are, too
    assert asked.status == 201
    path = f"/v1/customers/{customer_id}"
    assert (await gateway.post(path, {"name": "Ada"})).status == 404

    other = (await gateway.post("/v1/customers", SAVED)).body["id"]
    async with gateway.deps.engine.connect() as connection:
        subject = await connection.scalar(
            text("SELECT personal ->> 'subject' FROM payments.customer WHERE id = :id"), {"id": other}
        )
    await gateway.deps.subjects.close(
        gateway.merchant_id, [subject]
    )  # a crash after this: the customer is not deleted yet
    refused = await gateway.post(f"/v1/customers/{other}", {"name": "Ada"})
    assert (refused.status, refused.problem) == (409, "being-erased")
