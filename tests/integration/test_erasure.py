"""Somebody pays, is erased, and is looked for: in the gateway, the risk engine and the warehouse, in streams, caches,
the archive, the channels' journals and what the three services log. Real services on real databases; what their
processes run is called here.

This is what holds docs/privacy.md to the truth: whatever starts to keep personal data in clear is found by name.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from gateway_rig import ADMIN, RunningGateway, run_gateway
from money_rig import disputed, operate, ready
from pipeline_rig import settings_for as pipeline_settings
from pydantic import SecretStr
from redis.asyncio import Redis
from risk_rig import settings_for as risk_settings
from simulator_rig import TOKEN

from data_pipeline.app import create_pipeline
from data_pipeline.clients.event_sources import PAYMENTS, RISK
from data_pipeline.operations.archive_events import archive_events
from data_pipeline.operations.consume_streams import stream_consumer
from data_pipeline.operations.deps import Deps as PipelineDeps
from data_pipeline.operations.replay_archive import replay_archive, request_replay
from data_pipeline.operations.verify_archive import verify_archive
from data_pipeline.store import replay as replay_store
from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.erase_subjects import erase_subjects
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks
from payment_gateway.store import tables as gateway_tables
from platform_cli.embedded.serving import serving
from platform_cli.embedded.testing import FreshDatabase
from platform_cli.privacy.scan_databases import scan_postgres, scan_redis
from platform_cli.privacy.scan_files import scan_files
from platform_cli.privacy.sought import Findings, Place, Sought, sought_of
from platform_kit.outbox import Relay
from platform_kit.redis import create_redis
from risk_engine import app as risk
from risk_engine.clients.cel import compile_rules
from risk_engine.domain.rule_documents import parse_rule_set
from risk_engine.operations.chain_assessments import chain_assessments, check_chain
from risk_engine.operations.deps import Deps as RiskDeps
from risk_engine.operations.explain_decisions import explain_decisions
from risk_engine.operations.link_payments import link_payments
from risk_engine.store import tables as risk_tables

PAYER = {
    "id": "ada-lovelace-17",
    "country": "GB",
    "ip": "203.0.113.77",
    "device_id": "device-of-ada-0451",
    "email": "Ada.Lovelace@example.org",
}
SAVED = {
    "name": "Ada Augusta King",
    "email": "countess@example.org",
    "description": "met at the salon of Babbage",
    "metadata": {"phone": "+44 20 7946 0958"},
}
BILLING = {
    "name": "A. A. King of Lovelace",
    "phone": "+44 20 7946 0112",
    "address": {"line1": "12 St James Square", "postal_code": "SW1Y 4JH"},
}
EVIDENCE = {"customer_name": "Augusta Ada Byron"}
KNOWN_BY = (
    *(value for name, value in PAYER.items() if name != "country"),
    *(SAVED["name"], SAVED["email"], SAVED["description"], "+44 20 7946 0958"),
    *(BILLING["name"], BILLING["phone"], "12 St James Square", "SW1Y 4JH", EVIDENCE["customer_name"]),
)


ALLOW = {
    "name": "let everybody pay",
    "reference_currency": "EUR",
    "reference_rates": {"EUR": 1_000_000},
    "amount_bands": {"EUR": {"medium": 5_000, "high": 50_000, "very_high": 200_000}},
    "score_bands": [],
    "rules": [{"id": "none", "when": "has_card && has_email && customer_country == 'XX'", "then": "review",
               "code": "none", "text": "Nobody."}],
}  # fmt: skip


@dataclass
class Platform:
    """The three services, and all that they write to."""

    gateway: RunningGateway
    risk_deps: RiskDeps
    pipeline_deps: PipelineDeps
    redis: Redis
    databases: Sequence[str]
    redis_url: str
    folders: Sequence[Path]
    logs: Path
    said: pytest.CaptureFixture[str]

    def logged(self) -> str:
        """What the three services have logged until now, at level DEBUG; kept in a file for the scan."""
        with self.logs.open("a") as file:
            file.writelines(self.said.readouterr())
        return self.logs.read_text()

    async def events_flow(self) -> None:
        """Number, publish, ingest, archive, deliver: everything that carries an event anywhere."""
        relays = (
            Relay(self.gateway.deps.engine, gateway_tables.outbox, self.redis, PAYMENTS),
            Relay(self.risk_deps.engine, risk_tables.outbox, self.redis, RISK),
        )
        for relay in relays:
            await relay.run_once()
        for stream in (PAYMENTS, RISK):
            consumer = stream_consumer(self.pipeline_deps, self.redis, stream)
            while await consumer.run_once():
                pass
        await archive_events(self.pipeline_deps)
        await explain_decisions(self.risk_deps)
        await link_payments(self.risk_deps)
        await fan_out_webhooks(self.gateway.deps)
        await deliver_webhooks(self.gateway.deps)

    async def scan(self, sought: Sought) -> Findings:
        findings = Findings()
        for url in self.databases:
            findings.add(await scan_postgres(url, sought))
        findings.add(await scan_redis(self.redis_url, sought))
        self.logged()
        for folder in (*self.folders, self.logs.parent):
            findings.add(scan_files(f"file://{folder}", sought))
        return findings

    async def everything_told(self) -> tuple[str, str]:
        """All that a merchant can say of a person; a payment of a payer with a mark, and a saved customer's id."""
        paid = await self.gateway.pay(customer=PAYER)
        assert (paid.status, paid.body["status"]) == (201, "captured"), paid.raw
        made = await self.gateway.post("/v1/customers", SAVED)
        assert made.status == 201, made.raw
        customer = str(made.body["id"])
        method = {"type": "card", "card": {"token": "tok_visa"}, "billing_details": BILLING}
        saved = (await self.gateway.post("/v1/payment-methods", method)).body["id"]
        await self.gateway.post(f"/v1/payment-methods/{saved}/attach", {"customer_id": customer})
        bought = {"amount_minor": 700, "currency": "EUR", "payment_method": saved, "customer_id": customer}
        assert (await self.gateway.post("/v1/payments", bought)).status == 201
        await operate(self.gateway, channel_key=await ready(self.gateway, str(paid.body["id"])))
        dispute = await disputed(self.gateway, str(paid.body["id"]))
        given = {"evidence": EVIDENCE, "submit": False}
        assert (await self.gateway.post(f"/v1/disputes/{dispute['id']}/evidence", given)).status == 200
        await self.gateway.post(f"/v1/disputes/{dispute['id']}/accept")
        return str(paid.body["id"]), customer


@pytest.fixture
async def platform(
    fresh_database: FreshDatabase, clean_redis_url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> AsyncIterator[Platform]:
    logs = tmp_path / "logs" / "all.log"
    logs.parent.mkdir()
    databases = [await fresh_database(name) for name in ("risk", "payments", "pipeline")]
    app = risk.build_app(
        risk_settings(
            databases[0].app_url,
            clean_redis_url,
            internal_token=SecretStr(TOKEN),
            log_level="DEBUG",
            risk_fingerprint_keys=SecretStr("k1:" + "f" * 32),
        )
    )
    redis = create_redis(clean_redis_url, timeout_s=60)
    async with serving(app) as risk_url:
        deps: RiskDeps = app.state.deps
        async with asyncio.timeout(120):
            while deps.rules.publication == 0:  # noqa: ASYNC110 - the first set is published by a task beside us
                await asyncio.sleep(0.01)
        await deps.features.mark_warm()
        deps.rules.deployed = replace(deps.rules.deployed, live=compile_rules(parse_rule_set(ALLOW)))
        journals, archive = tmp_path / "journals", tmp_path / "archive"
        async with run_gateway(
            databases[1], journals, risk_url=risk_url, redis_url=clean_redis_url,
            subjects_remembered_s=0, channel_timeout_s=20.0, log_level="DEBUG",
        ) as gateway:  # fmt: skip
            await gateway.post("/v1/webhook-endpoints", {"url": f"{gateway.url}/nowhere"})
            settings = pipeline_settings(databases[2].app_url, archive_url=f"file://{archive}").model_copy(
                update={
                    "gateway_url": gateway.url,
                    "risk_url": risk_url,
                    "internal_token": SecretStr(TOKEN),
                    "log_level": "DEBUG",
                }
            )
            pipeline = create_pipeline(settings)
            async with serving(pipeline):
                urls = [database.admin_url for database in databases]
                yield Platform(
                    gateway,
                    deps,
                    pipeline.state.deps,
                    redis,
                    urls,
                    clean_redis_url,
                    [journals, archive],
                    logs,
                    capfd,
                )
    await redis.aclose()


def readable(findings: Findings) -> dict[str, Place]:
    return {place.place: place for place in findings.places if place.values}


async def test_nothing_readable_is_kept_anywhere_and_tokens_are_what_travels(platform: Platform) -> None:
    await platform.everything_told()
    await platform.events_flow()
    (token,) = await tokens_of(platform, PAYER["id"])
    findings = await platform.scan(sought_of(KNOWN_BY, [token]))
    assert readable(findings) == {}
    named = {place.place for place in findings.places if place.tokens}
    assert {
        "payments.payment", "payments.outbox_event", "risk.assessment", "pipeline.stored_event",
        "redis stream events:payments", "redis stream events:risk",
    } <= named  # fmt: skip
    assert any("archive" in place for place in named), "the archive was read"
    logged = platform.logged()
    for line in ("/v1/payments", "/v1/assessments/batch", "events archived"):
        assert line in logged, "each service has logged what it did"
    assert all(place.read for place in findings.places if place.place in named)


async def tokens_of(platform: Platform, customer: str) -> Sequence[str]:
    return await platform.gateway.deps.subjects.known(platform.gateway.merchant_id, [f"id:{customer}"])


async def test_an_erasure_is_proved_by_a_scan_that_is_attached_to_it(platform: Platform) -> None:
    payment_id, customer_id = await platform.everything_told()
    await platform.events_flow()
    asked = [
        (await platform.gateway.post("/v1/erasures", whom)).body["id"]
        for whom in ({"customer": PAYER["id"]}, {"customer_id": customer_id})
    ]
    assert await erase_subjects(platform.gateway.deps) == 2
    await platform.events_flow()
    looked_for: set[str] = set()
    for erasure_id in asked:
        path = f"/v1/admin/erasures/{erasure_id}"
        erasure = (await platform.gateway.call("GET", path, token=ADMIN)).body
        looked_for |= set(erasure["sought"])
        sought = sought_of(erasure["sought"], erasure["subjects"])
        findings = await platform.scan(sought)
        assert (findings.verdict, readable(findings)) == ("clean", {})
        raw = orjson.dumps(findings.report(sought))
        attached = await platform.gateway.call("POST", f"{path}/report", token=ADMIN, raw=raw)
        assert attached.body["report"]["verdict"] == "clean", attached.raw
    assert set(KNOWN_BY) <= looked_for, "what to look for outlives the key, sealed under another"
    assert (await platform.gateway.payment(payment_id))["customer"] == {"erased": True}
    verified: dict[str, Any] = await platform.gateway.verification()
    assert verified["balanced"]


async def test_a_planted_value_is_found_wherever_it_went(platform: Platform) -> None:
    """A merchant writes an address into `metadata`, which is theirs and travels as it is: no erasure reaches it."""
    note = {"note": f"call {PAYER['email']}"}
    await platform.gateway.pay(customer=PAYER, metadata=note)
    await platform.events_flow()
    await platform.gateway.post("/v1/erasures", {"customer": PAYER["id"]})
    await erase_subjects(platform.gateway.deps)
    await platform.redis.set("cache:somebody", PAYER["ip"])
    (platform.folders[0] / "debug.log").write_text(f"from {PAYER['device_id']}\n")
    findings = await platform.scan(sought_of(KNOWN_BY, []))
    assert findings.verdict == "readable"
    found = readable(findings)
    assert {
        "payments.payment", "payments.outbox_event", "payments.idempotency_key", "pipeline.stored_event",
        "redis stream events:payments", "redis string cache",
    } <= found.keys()  # fmt: skip
    assert any(place.endswith(".parquet") for place in found)
    assert any(place.endswith("debug.log") for place in found)


@dataclass(frozen=True)
class Told:
    """Every event as the two outboxes have it, by id."""

    events: Mapping[str, tuple[str, int | None, Any]]

    @classmethod
    async def by(cls, platform: Platform) -> Told:
        found: dict[str, tuple[str, int | None, Any]] = {}
        for url, schema in ((platform.databases[1], "payments"), (platform.databases[0], "risk")):
            for row in await query(url, f"SELECT id, type, position, data FROM {schema}.outbox_event"):
                found[row["id"]] = (row["type"], row["position"], orjson.loads(row["data"]))
        return cls(found)


async def query(url: str, statement: str, *values: Any) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(statement, *values))
    finally:
        await connection.close()


async def told_as_before(platform: Platform, payment_id: str) -> None:
    """Events of this payment as a release before sealing told them, and one that the warehouse does not know."""
    risk_url, payments_url, _ = platform.databases
    payer, evidence, customer_id = (orjson.dumps(one).decode() for one in (PAYER, EVIDENCE, PAYER["id"]))
    of_payment = "WHERE data #>> '{payment,id}' = $2"
    await query(
        payments_url,
        f"UPDATE payments.outbox_event SET data = jsonb_set(data, '{{payment,customer}}', $1::jsonb) {of_payment}",
        payer,
        payment_id,
    )
    await query(
        payments_url,
        f"UPDATE payments.outbox_event SET data = jsonb_set(data, '{{dispute,evidence}}', $1::jsonb) {of_payment}"
        " AND data ? 'dispute'",
        evidence,
        payment_id,
    )
    await query(
        payments_url,
        "UPDATE payments.outbox_event SET type = 'dispute.teleported.v1' WHERE type = 'dispute.lost.v1'",
    )
    await query(
        risk_url,
        "UPDATE risk.outbox_event SET data = jsonb_set(data, '{assessment,request,customer,id}', $1::jsonb)"
        " WHERE data #>> '{assessment,payment_id}' = $2",
        customer_id,
        payment_id,
    )
    for url, schema, data in (
        (
            payments_url,
            "payments",
            {"assessment": {"payment_id": payment_id, "request": {"customer": {"id": PAYER["id"]}}}},
        ),
        (risk_url, "risk", {"payment": {"id": payment_id, "customer": PAYER}}),
    ):
        await query(
            url,
            f"INSERT INTO {schema}.quarantined_event VALUES ('evt_odd', $1::jsonb, 'unknown type')",
            orjson.dumps({"id": "evt_odd", "data": data}).decode(),
        )


async def scrub(platform: Platform, *words: str) -> tuple[int, dict[str, Any]]:
    """`platform privacy scrub` as an operator types it: the exit code, and what it said."""
    archive = f"file://{platform.folders[1]}"
    named = [word for url in platform.databases for word in ("--database", url)]
    command = [sys.executable, "-m", "platform_cli.app", "privacy", "scrub", "--json", *words, *named]
    command += ["--redis", platform.redis_url, "--archive", archive]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, orjson.loads(done.stdout)


async def test_what_older_releases_told_in_clear_is_scrubbed_wherever_it_went(platform: Platform) -> None:
    payment_id, _ = await platform.everything_told()
    as_told_today = await Told.by(platform)
    await told_as_before(platform, payment_id)
    await platform.events_flow()
    people = sought_of(KNOWN_BY, [])
    places = {
        "payments.outbox_event", "risk.outbox_event", "pipeline.stored_event", "pipeline.quarantine",
        "payments.quarantined_event", "risk.quarantined_event",
        "redis stream events:payments", "redis stream events:risk",
    }  # fmt: skip
    before = readable(await platform.scan(people))
    assert places <= before.keys()
    assert {Path(place).suffix for place in before.keys() - places} == {".parquet"}

    code, planned = await scrub(platform, "--dry-run")
    assert (code, planned["dry_run"], planned["left"]) == (0, True, [])
    assert readable(await platform.scan(people)).keys() == before.keys(), "a dry run changes nothing"

    code, done = await scrub(platform)
    assert (code, done["places"]) == (0, planned["places"]), "what was planned was done"
    assert all(place["cleared"] for place in done["places"])
    assert readable(await platform.scan(people)) == {}
    _, again = await scrub(platform)
    assert [place["cleared"] for place in again["places"]] == [0] * len(done["places"])

    await nothing_else_changed(platform, as_told_today)


async def nothing_else_changed(platform: Platform, as_told_today: Told) -> None:
    """Events are what this release would have told, in the warehouse and its archive too; all proofs hold."""
    now = (await Told.by(platform)).events
    unknown = {name for name, (kind, *_) in now.items() if kind == "dispute.teleported.v1"}
    for name, (_, _, data) in as_told_today.events.items():
        assert now[name][2] == data
    stored = await query(
        platform.databases[2], "SELECT event_id, position, payload FROM pipeline.stored_event"
    )
    kept = {row["event_id"]: (row["position"], orjson.loads(row["payload"])["data"]) for row in stored}
    assert as_told_today.events.keys() - unknown <= kept.keys()
    assert kept == {name: (now[name][1], now[name][2]) for name in kept}
    verified = await verify_archive(platform.pipeline_deps, date(2020, 1, 1), date(2040, 1, 1))
    assert (verified.rows, verified.faults) == (len(stored), ())
    run = await request_replay(platform.pipeline_deps, "ops", "the archive was scrubbed")
    await replay_archive(platform.pipeline_deps)
    async with platform.pipeline_deps.engine.connect() as conn:
        replayed = await replay_store.run(conn, run["id"])
    assert replayed is not None
    assert (replayed["state"], replayed["detail"]) == ("swapped", None)
    assert (await platform.gateway.verification())["balanced"]
    await chain_assessments(platform.risk_deps)
    assert (await check_chain(platform.risk_deps, 0, 1_000))["broken_at"] is None
