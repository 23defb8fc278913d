"""What may happen between the request that somebody be forgotten and the end of their keys: payments by a process that
remembers a key, evidence for an open dispute, crashes. And what a key that is remembered saves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from gateway_rig import ADMIN, RunningGateway, run_gateway
from money_rig import disputed, operate, ready
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from payment_gateway.operations.erase_subjects import erase_subjects
from payment_gateway.operations.seal_personal_data import seal_personal_data
from platform_cli.embedded.testing import FreshDatabase, TestDatabase
from platform_kit.ids import new_id

PAYER = {"id": "ada-lovelace-17", "email": "ada.lovelace@example.org"}
REMEMBERED_S = 6.0
LONG_S = 300.0


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> TestDatabase:
    return await fresh_database("payments")


@pytest.fixture
async def gateway(database: TestDatabase, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    """One that forgets keys at once."""
    async with run_gateway(
        database, tmp_path / "journals", subjects_remembered_s=0, channel_timeout_s=20.0
    ) as running:
        yield running


async def values_sought(gateway: RunningGateway, erasure_id: str) -> set[str]:
    shown = await gateway.call("GET", f"/v1/admin/erasures/{erasure_id}", token=ADMIN)
    assert shown.status == 200, shown.raw
    return set(shown.body["sought"])


async def due_now(gateway: RunningGateway) -> None:
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text("UPDATE payments.erasure SET due_at = now()"))


@contextmanager
def statements_on(engine: AsyncEngine) -> Iterator[list[str]]:
    """What this process asks of a database, as it is asked."""
    told: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        told.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield told
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


async def test_a_key_dies_only_when_no_process_has_it_and_then_nobody_reads_by_it(
    database: TestDatabase, tmp_path: Path
) -> None:
    """Two processes. One that has just sealed somebody goes on to for a while, under a key that is closed; nothing of
    that is lost before the time, and nothing is readable after it."""
    async with (
        run_gateway(database, tmp_path / "one", subjects_remembered_s=REMEMBERED_S) as one,
        run_gateway(database, tmp_path / "two", subjects_remembered_s=REMEMBERED_S) as two,
    ):
        two.key, two.merchant_id = one.key, one.merchant_id
        before = (await two.pay(customer=PAYER)).body["id"]
        asked = (await one.post("/v1/erasures", {"customer": PAYER["id"]})).body
        after = await two.pay(customer=PAYER | {"email": "countess@example.org"})
        (token,) = asked["subjects"]
        assert two.risk.asked[-1]["customer"]["id"] == token, "the other process still seals under it"
        waits = datetime.fromisoformat(asked["due_at"]) - datetime.fromisoformat(asked["created_at"])
        assert waits.total_seconds() == 2 * REMEMBERED_S, "somebody may have the key still"
        erased = 0
        async with asyncio.timeout(30):
            while not erased:
                assert (await two.payment(before))["customer"] == PAYER  # read to the last moment ...
                erased = await erase_subjects(one.deps)
                await asyncio.sleep(0.1)
        for paid in (before, str(after.body["id"])):  # ... and not by what was remembered of that
            assert (await two.payment(paid))["customer"] == {"erased": True}
        assert {"ada.lovelace@example.org", "countess@example.org"} <= await values_sought(one, asked["id"])
        await two.pay(customer=PAYER)
        assert two.risk.asked[-1]["customer"]["id"] != token


async def test_what_is_said_while_a_dispute_blocks_is_sought_and_emptied(gateway: RunningGateway) -> None:
    paid = str((await gateway.pay(customer=PAYER)).body["id"])
    await operate(gateway, channel_key=await ready(gateway, paid))
    dispute = (await disputed(gateway, paid))["id"]
    asked = (await gateway.post("/v1/erasures", {"customer": PAYER["id"]})).body["id"]
    assert await erase_subjects(gateway.deps) == 0
    words = {"evidence": {"customer_name": "Augusta Ada Byron"}, "submit": False}
    assert (await gateway.post(f"/v1/disputes/{dispute}/evidence", words)).status == 200
    assert (await gateway.post(f"/v1/disputes/{dispute}/accept")).status == 200
    await due_now(gateway)
    assert await erase_subjects(gateway.deps) == 1
    assert await values_sought(gateway, asked) == {*PAYER.values(), "Augusta Ada Byron"}
    assert (await gateway.call("GET", f"/v1/disputes/{dispute}")).body["evidence"] == {}


async def test_a_crash_after_the_key_is_gone_keeps_what_was_gathered(gateway: RunningGateway) -> None:
    await gateway.pay(customer=PAYER)
    asked = (await gateway.post("/v1/erasures", {"customer": PAYER["id"]})).body
    await gateway.deps.subjects.erase(gateway.merchant_id, asked["subjects"])  # and the job dies here
    assert await erase_subjects(gateway.deps) == 1
    assert await values_sought(gateway, asked["id"]) == set(PAYER.values())


async def test_a_customer_whom_a_crash_kept_is_gathered_closed_and_waited_for(
    gateway: RunningGateway,
) -> None:
    """The request wrote the erasure, and died before it deleted the saved customer."""
    customer = (await gateway.post("/v1/customers", {"name": "Ada Augusta King"})).body["id"]
    method = {"type": "card", "card": {"token": "tok_visa"}, "billing_details": {"name": "A. A. Byron"}}
    saved = (await gateway.post("/v1/payment-methods", method)).body["id"]
    await gateway.post(f"/v1/payment-methods/{saved}/attach", {"customer_id": customer})
    (token,) = await gateway.deps.subjects.known(gateway.merchant_id, [f"id:{customer}"])
    erasure = new_id("ers")
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO payments.erasure (id, merchant_id, status, subjects, blocked_by, created_at, due_at)"
                " VALUES (:id, :merchant_id, 'waiting', jsonb_build_array(CAST(:token AS text)), '[]', now(), now())"
            ),
            {"id": erasure, "merchant_id": gateway.merchant_id, "token": token},
        )
    assert await erase_subjects(gateway.deps) == 0, "the billing details' key is closed only now"
    assert await erase_subjects(gateway.deps) == 1
    assert await values_sought(gateway, erasure) == {"Ada Augusta King", "A. A. Byron"}
    assert len((await gateway.call("GET", f"/v1/erasures/{erasure}")).body["subjects"]) == 2
    assert (await gateway.call("GET", f"/v1/customers/{customer}")).status == 404


async def test_a_token_opens_nothing_for_another_merchant(database: TestDatabase, tmp_path: Path) -> None:
    async with run_gateway(database, tmp_path / "journals", subjects_remembered_s=LONG_S) as gateway:
        stranger, _ = await gateway.new_merchant()
        await gateway.pay(customer=PAYER)
        token = gateway.risk.asked[0]["customer"]["id"]
        subjects = gateway.deps.subjects
        assert set(await subjects.by_id(gateway.merchant_id, [token])) == {token}  # and it is remembered
        assert await subjects.by_id(stranger, [token]) == {}
        both = await subjects.of_all([(gateway.merchant_id, token), (stranger, token)])
        assert set(both) == {(gateway.merchant_id, token)}, "nor when its owner asks at the same time"
        await subjects.erase(stranger, [token])
        await subjects.close(stranger, [token])
        await gateway.pay(customer=PAYER)
        assert gateway.risk.asked[1]["customer"]["id"] == token


async def test_a_known_payer_costs_no_question_and_a_forgotten_one_costs_one(
    database: TestDatabase, tmp_path: Path
) -> None:
    async with run_gateway(database, tmp_path / "journals", subjects_remembered_s=LONG_S) as gateway:

        async def asked_for(customer: dict[str, str] | None) -> tuple[int, int]:
            vault, main = gateway.deps.vault.opened()[0], gateway.deps.engine
            with statements_on(vault) as of_vault, statements_on(main) as of_main:
                told = {"customer": customer} if customer else {}
                assert (await gateway.pay(**told)).status == 201
            return len(of_vault), sum("idempotency_key" in one for one in of_main)

        _, of_nobody = await asked_for(None)
        assert await asked_for(PAYER) == (2, of_nobody + 1), "somebody new is looked for, and then added"
        assert await asked_for(PAYER) == (0, of_nobody)
        gateway.deps.subjects._forget([gateway.risk.asked[-1]["customer"]["id"]])
        assert await asked_for(PAYER) == (1, of_nobody)


async def test_evidence_that_was_stored_in_clear_is_sealed_under_its_payers_key_and_emptied_without_one(
    gateway: RunningGateway,
) -> None:
    told = []
    for payer in (PAYER, {"id": "grace-9"}, None):
        paid = str((await gateway.pay(**({"customer": payer} if payer else {}))).body["id"])
        await operate(gateway, channel_key=await ready(gateway, paid))
        told.append((await disputed(gateway, paid))["id"])
    words = {"customer_name": "Augusta Ada Byron", "subject": "a lamp"}
    await gateway.deps.subjects.erase(gateway.merchant_id, [gateway.risk.asked[1]["customer"]["id"]])
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(
            text("UPDATE payments.dispute SET evidence = CAST(:words AS jsonb)"),
            {"words": orjson.dumps(words).decode()},
        )
    refused = await gateway.post("/v1/erasures", {"customer": PAYER["id"]})
    assert (refused.status, refused.problem) == (503, "still-sealing")
    assert await seal_personal_data(gateway.deps, batch=2) == 3
    assert await seal_personal_data(gateway.deps) == 0
    async with gateway.deps.engine.connect() as connection:
        kept = await connection.execute(text("SELECT evidence::text FROM payments.dispute"))
        assert not [one for one in kept.scalars() if "Byron" in one]
    shown = [(await gateway.call("GET", f"/v1/disputes/{one}")).body["evidence"] for one in told]
    assert shown == [words, {}, words]
