"""What is scrubbed of an event and what is left of it; and what stops half-way, waits, or cannot be cleared."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from platform_cli.app import main
from platform_cli.embedded.testing import FreshDatabase
from platform_cli.privacy import scrub_databases
from platform_cli.privacy.clear_fields import data_of, scrubbed, without_people
from platform_cli.privacy.scrub_archive import ArchiveIsBusy, scrub_archive
from platform_cli.privacy.scrub_databases import (
    Payers,
    Scrubbed,
    StillSealing,
    connected,
    in_order,
    missing,
    scrub_postgres,
)
from platform_cli.privacy.scrub_streams import scrub_streams
from platform_kit.lease import lock_key

PAYER = {"id": "ada-17", "email": "ada@example.org", "country": "GB"}
TOKENS = {"pay_1": "sub_1"}
A_TOKEN = "sub_01m8gh9g8teaqvjenzk31jvk75"
SEALED = {"subject": "sub_1", "sealed": ["bm90IGZvciBldmVudHM="]}


def payment(customer: Any, id_: str = "pay_1") -> dict[str, Any]:
    return {"payment": {"id": id_, "amount_minor": 1250, "customer": customer}, "journal": {"id": "je_1"}}


@pytest.mark.parametrize(
    ("told", "scrubbed"),
    [
        (payment(PAYER), payment({"subject": "sub_1"})),
        (payment(PAYER, "pay_2"), payment(None, "pay_2")),
        (payment(SEALED), payment({"subject": "sub_1"})),
        (payment({"subject": "sub_1"}), None),
        (payment(None), None),
        ({"merchant": {"id": "mer_1"}}, None),
        (
            payment({"subject": "sub_1"}) | {"dispute": {"id": "dp_1", "evidence": {"name": "Ada"}}},
            payment({"subject": "sub_1"}) | {"dispute": {"id": "dp_1", "evidence": {}}},
        ),
        (payment(None) | {"dispute": {"id": "dp_1", "evidence": {}}}, None),
    ],
)
def test_a_payer_is_a_token_or_nobody(told: dict[str, Any], scrubbed: dict[str, Any] | None) -> None:
    assert without_people(told, TOKENS) == scrubbed


@pytest.mark.parametrize(
    ("id_", "scrubbed"), [("ada-17", "sub_1"), ("sub_9", "sub_1"), (A_TOKEN, A_TOKEN), (None, None)]
)
def test_risk_knows_a_payer_by_token(id_: str | None, scrubbed: str | None) -> None:
    def assessment(id_: str | None) -> dict[str, Any]:
        request = {"amount_minor": 1, "customer": {"id": id_, "country": "GB"}}
        return {"assessment": {"id": "asm_1", "payment_id": "pay_1", "request": request}}

    told = assessment(id_)
    assert (without_people(told, TOKENS) or told) == assessment(scrubbed)


def test_what_is_no_event_is_left_as_it_is() -> None:
    assert scrubbed(['{"customer": {"id": "ada-17"', '["customer"]', '{"data": 1}'], "data", TOKENS) == {}


def test_what_no_event_has_is_left_and_stops_nobody() -> None:
    """In quarantine stands whatever came."""
    deep, long = '{"customer":' * 100_000, '{"data":{"customer":' + "9" * 5_000 + "}}"
    assert [data_of(text, "data") for text in (deep, long)] == [None, None]
    half = json.dumps({"data": payment(PAYER) | {"reference": "\ud800"}})
    (clean,) = scrubbed([half], "data", TOKENS).values()
    assert clean.encode()
    assert json.loads(clean)["data"] == payment({"subject": "sub_1"}) | {"reference": "\ud800"}


@pytest.fixture
async def payments(fresh_database: FreshDatabase) -> AsyncIterator[asyncpg.Connection[Any]]:
    """The gateway's tables, with a payment whose payer is sealed and seven events that tell of them in clear."""
    connection = await asyncpg.connect((await fresh_database("payments")).admin_url)
    await connection.execute(
        """INSERT INTO payments.payment (id, merchant_id, amount_minor, currency, capture, method, status, version,
               authorised_minor, captured_minor, refunded_minor, customer, metadata, created_at, updated_at)
           VALUES ('pay_1', 'mer_1', 1250, 'EUR', 'automatic', '{"type": "card"}', 'captured', 1,
               1250, 1250, 0, $1, '{}', now(), now())""",
        json.dumps(SEALED),
    )
    for position in range(1, 8):
        await connection.execute(
            """INSERT INTO payments.outbox_event (id, type, aggregate_id, data, occurred_at, position)
               VALUES ($1, 'payment.captured.v1', 'pay_1', $2, now(), $3)""",
            f"evt_{position}",
            json.dumps(payment(PAYER)),
            position,
        )
    yield connection
    await connection.close()


async def clear_ones(connection: asyncpg.Connection[Any]) -> int:
    found: int = await connection.fetchval(
        "SELECT count(*) FROM payments.outbox_event WHERE data::text LIKE '%ada@example.org%'"
    )
    return found


def nothing(_place: Scrubbed, _reached: int, _last: int) -> None:
    return None


async def test_what_was_stopped_half_way_is_begun_again(
    payments: asyncpg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrub_databases, "BATCH", 3)
    reached: list[int] = []

    def stop_after_two(_place: Scrubbed, position: int, last: int) -> None:
        reached.append(position)
        if len(reached) == 2:
            raise KeyboardInterrupt

    payers = await Payers.of([payments])
    with pytest.raises(KeyboardInterrupt):
        await scrub_postgres(payments, payers, dry_run=False, progress=stop_after_two)
    assert (reached, await clear_ones(payments)) == ([3, 6], 1)
    place, _ = await scrub_postgres(payments, payers, dry_run=False, progress=nothing)
    assert (place, await clear_ones(payments)) == (Scrubbed("payments.outbox_event", 7, 1), 0)
    told = await payments.fetch("SELECT data, position FROM payments.outbox_event ORDER BY position")
    assert [row["position"] for row in told] == list(range(1, 8))
    assert all(json.loads(row["data"]) == payment({"subject": "sub_1"}) for row in told)


async def test_outboxes_go_before_what_is_filled_from_them(fresh_database: FreshDatabase) -> None:
    named = [
        await connected((await fresh_database(one)).admin_url) for one in ("pipeline", "risk", "payments")
    ]
    try:
        assert await in_order(named) == named[::-1]
    finally:
        for connection in named:
            await connection.close()


@pytest.mark.parametrize("service", ["payments", "risk"])
async def test_what_a_service_did_not_understand_is_scrubbed_where_it_set_it_aside(
    payments: asyncpg.Connection[Any],
    fresh_database: FreshDatabase,
    service: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scrub_databases, "BATCH", 2)
    table, payers = f"{service}.quarantined_event", await Payers.of([payments])
    connection = await connected((await fresh_database(service)).admin_url)
    told = [
        {"id": f"evt_{number}", "type": "payment.vanished.v9", "data": payment(PAYER)} for number in range(5)
    ]
    told[3]["data"] = payment({"subject": "sub_1"})
    try:
        await connection.executemany(
            f"INSERT INTO {table} (event_id, envelope, error) VALUES ($1, $2, 'unknown')",
            [(str(one["id"]), json.dumps(one)) for one in told],
        )
        places = await scrub_postgres(connection, payers, dry_run=False, progress=nothing)
        assert Scrubbed(table, 5, 4) in places
        left = await connection.fetch(f"SELECT envelope FROM {table} ORDER BY event_id")
    finally:
        await connection.close()
    clean = payment({"subject": "sub_1"})
    assert [json.loads(row["envelope"]) for row in left] == [{**one, "data": clean} for one in told]


async def test_a_role_that_a_policy_hides_rows_from_is_refused_and_not_given_the_others(
    fresh_database: FreshDatabase,
) -> None:
    connection = await connected((await fresh_database("payments")).app_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.fetch("SELECT id FROM payments.payment")
    finally:
        await connection.close()


async def test_tables_that_nobody_named_are_told_of(payments: asyncpg.Connection[Any]) -> None:
    assert await missing([payments]) == [
        "risk.outbox_event", "risk.quarantined_event", "pipeline.stored_event", "pipeline.quarantine",
    ]  # fmt: skip


async def test_a_redis_that_nobody_named_and_a_database_are_told_of_in_the_end(
    fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SCRUB_REDIS_URL", "ARCHIVE_URL"):
        monkeypatch.delenv(name, raising=False)
    url = (await fresh_database("payments")).admin_url
    done = await asyncio.to_thread(
        CliRunner().invoke, main, ["privacy", "scrub", "--json", "--database", url]
    )
    left = json.loads(done.stdout)["left"]
    assert done.exit_code == 1
    assert left == [
        "risk.outbox_event: in no database that was named",
        "risk.quarantined_event: in no database that was named",
        "pipeline.stored_event: in no database that was named",
        "pipeline.quarantine: in no database that was named",
        "streams: no Redis was named",
        "archive: none was named",
    ]


async def test_nothing_is_changed_before_every_payer_has_a_token(payments: asyncpg.Connection[Any]) -> None:
    await payments.execute("UPDATE payments.payment SET customer = $1", json.dumps(PAYER))
    with pytest.raises(StillSealing, match="still being sealed"):
        await Payers.of([payments])


async def test_of_a_stream_goes_what_everybody_has_read(clean_redis_url: str) -> None:
    event = {"position": 1, "event": json.dumps({"data": payment(PAYER)})}
    async with Redis.from_url(clean_redis_url) as redis:
        for group in ("pipeline", "webhooks"):
            await redis.xgroup_create("events:payments", group, mkstream=True)
        first, second = [await redis.xadd("events:payments", event) for _ in range(2)]  # type: ignore[arg-type]
        clean = await redis.xadd(
            "events:payments", {"position": 3, "event": json.dumps({"data": payment(None)})}
        )
        await redis.xreadgroup("pipeline", "one", {"events:payments": ">"})
        await redis.xack("events:payments", "pipeline", first, second, clean)
        await redis.xreadgroup("webhooks", "one", {"events:payments": ">"})
        await redis.xack("events:payments", "webhooks", first)
        (place,) = await scrub_streams(clean_redis_url, dry_run=False)
        assert (place.read, place.cleared, place.kept) == (3, 1, 1), "the second is pending with one group"
        await redis.xack("events:payments", "webhooks", second, clean)
        (place,) = await scrub_streams(clean_redis_url, dry_run=False)
        assert (place.cleared, place.kept) == (1, 0)
        assert [name for name, _ in await redis.xrange("events:payments")] == [clean]


@dataclass
class Archive:
    """A manifest of two files, each with an event in clear."""

    database_url: str
    manifest: asyncpg.Connection[Any]
    payers: Payers
    folder: Path

    @property
    def names(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}

    async def scrub(self, *, dry_run: bool = False) -> tuple[list[Scrubbed], list[str]]:
        url = f"file://{self.folder}"
        return await scrub_archive(self.manifest, self.payers, url, dry_run=dry_run, progress=nothing)


@pytest.fixture
async def archive(
    fresh_database: FreshDatabase, payments: asyncpg.Connection[Any], tmp_path: Path
) -> AsyncIterator[Archive]:
    database = await fresh_database("pipeline")
    manifest = await asyncpg.connect(database.admin_url)
    for position in (1, 2):
        texts = [json.dumps({"id": f"evt_{position}", "data": payment(PAYER)})]
        path = tmp_path / f"part-{position}-000000000000.parquet"
        parquet.write_table(arrow.table({"position": [position], "payload": texts, "type": ["x"]}), path)
        content = path.read_bytes()
        await manifest.execute(
            "INSERT INTO pipeline.archive_file VALUES ($1, 'events:payments', '2026-11-01', $2, $2, 1, $3, $4)",
            path.name,
            position,
            len(content),
            hashlib.sha256(content).hexdigest(),
        )
    yield Archive(database.admin_url, manifest, await Payers.of([payments]), tmp_path)
    await manifest.close()


async def test_a_file_is_written_anew_and_a_damaged_one_is_named(archive: Archive) -> None:
    damaged_file = "part-2-000000000000.parquet"
    (archive.folder / damaged_file).write_bytes(b"damaged")
    (place,), damaged = await archive.scrub()
    assert (place.read, place.cleared) == (1, 1)
    assert damaged == [f"{damaged_file} is not what was written: its checksum differs"]
    line, _ = await archive.manifest.fetch("SELECT * FROM pipeline.archive_file ORDER BY first_position")
    content = (archive.folder / line["path"]).read_bytes()
    assert (line["sha256"], line["byte_count"]) == (hashlib.sha256(content).hexdigest(), len(content))
    assert line["path"] == f"part-1-{line['sha256'][:12]}.parquet"
    (row,) = parquet.read_table(archive.folder / line["path"]).to_pylist()
    assert (row["position"], row["type"]) == (1, "x")
    assert json.loads(row["payload"]) == {"id": "evt_1", "data": payment({"subject": "sub_1"})}
    assert archive.names == {line["path"], damaged_file}


async def test_what_an_interrupted_write_left_goes_and_what_another_writes_stays(archive: Archive) -> None:
    ours = archive.folder / "stream=payments/event_date=2026-11-01/part-1-9-0123456789ab.parquet.writing"
    snapshot = (
        archive.folder / "facts/fact_payment/event_date=2026-11-01/part-5c1f0e2a9b7d4e61.parquet.writing"
    )
    for path in (ours, snapshot):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(payment(PAYER)))
    (_, told), _ = await archive.scrub(dry_run=True)
    assert (told.read, told.cleared, ours.exists()) == (1, 1, True)
    (_, told), _ = await archive.scrub()
    assert (told.read, told.cleared, ours.exists(), snapshot.exists()) == (1, 1, False, True)
    assert len((await archive.scrub())[0]) == 1  # done, it finds nothing


async def test_an_archive_that_somebody_writes_to_or_replays_is_left_alone(archive: Archive) -> None:
    before = archive.names
    other = await asyncpg.connect(archive.database_url)
    try:
        await other.execute("SELECT pg_advisory_lock($1)", lock_key("archive"))
        with pytest.raises(ArchiveIsBusy, match="is writing"):
            await archive.scrub()
    finally:
        await other.close()
    await archive.manifest.execute(
        "INSERT INTO pipeline.replay_run (id, state, actor, reason, may_differ, open_slot, started_at)"
        " VALUES ('rpl_1', 'building', 'ops', 'x', false, 1, now())"
    )
    with pytest.raises(ArchiveIsBusy, match="replay"):
        await archive.scrub()
    assert archive.names == before
