"""A reviewed payment from the shop to the verdict and back, through both services' own code and databases: the gateway
asks the real risk engine, a person decides, the gateway captures or gives up, and the case says what came of it.

Only the processes are left out: what they run is called step by step, so nothing depends on timing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from gateway_rig import RunningGateway, run_gateway
from pydantic import SecretStr
from risk_rig import settings_for as risk_settings
from simulator_rig import TOKEN

from payment_gateway.operations import apply_verdicts as verdicts
from payment_gateway.store import tables as gateway_tables
from platform_cli.embedded.serving import serving
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.http import HttpClient
from platform_kit.outbox import Relay
from platform_kit.redis import create_redis
from platform_kit.streams import StreamConsumer, events_api
from risk_engine import app as risk
from risk_engine.clients.cel import compile_rules
from risk_engine.domain.rule_documents import parse_rule_set
from risk_engine.operations.deps import Deps as RiskDeps
from risk_engine.operations.follow_payments import follow_payments
from risk_engine.operations.record_outcomes import STREAM as PAYMENTS
from risk_engine.store import tables as risk_tables
from risk_engine.store.alerts import quarantine

REVIEW = {
    "name": "review cards",
    "reference_currency": "EUR",
    "reference_rates": {"EUR": 1_000_000},
    "amount_bands": {"EUR": {"medium": 5_000, "high": 50_000, "very_high": 200_000}},
    "score_bands": [],
    "rules": [
        {"id": "all", "when": "method == 'card'", "then": "review", "code": "all", "text": "Every card."}
    ],
}


@dataclass
class Platform:
    """Both services, and what moves events between them."""

    gateway: RunningGateway
    risk_url: str
    risk_deps: RiskDeps
    staff: dict[str, str]
    relays: tuple[Relay, Relay]
    consumers: tuple[StreamConsumer, StreamConsumer]

    async def events_flow(self) -> None:
        """Number and publish what both have committed, and let each read the other's."""
        for relay in self.relays:
            await relay.run_once()
        for consumer in self.consumers:
            while await consumer.run_once():
                pass

    async def risk(self, method: str, path: str, body: Any = None, *, who: str = "ada") -> dict[str, Any]:
        reply = await self.gateway.session.request(
            method,
            self.risk_url + path,
            data=None if body is None else orjson.dumps(body),
            headers={"Authorization": f"Bearer {self.staff[who]}", "Content-Type": "application/json"},
        )
        content = await reply.read()
        assert reply.status < 300, content
        parsed: dict[str, Any] = orjson.loads(content)
        return parsed

    async def decide(self, verdict: str) -> str:
        """Take up the next case and decide about it; its id."""
        case = (await self.risk("POST", "/v1/cases/next", {}))["case"]
        decision = {"verdict": verdict, "reason": "Called the payer."}
        await self.risk("POST", f"/v1/cases/{case['id']}/decide", decision)
        return str(case["id"])

    async def effect(self, case_id: str) -> tuple[str, str | None]:
        """How the gateway says that the payment stands, and what the verdict has done to it."""
        (payment,) = (await self.risk("GET", f"/v1/cases/{case_id}"))["payments"]
        return payment["status"], payment["effect"] and payment["effect"]["code"]


@pytest.fixture
async def platform(
    fresh_database: FreshDatabase, clean_redis_url: str, tmp_path: Path
) -> AsyncIterator[Platform]:
    """Gateway, channels and risk engine over real HTTP, on real databases and a real Redis."""
    risk_database, payments_database = await fresh_database("risk"), await fresh_database("payments")
    settings = risk_settings(risk_database.app_url, clean_redis_url, internal_token=SecretStr(TOKEN))
    app = risk.build_app(settings)
    redis = create_redis(clean_redis_url, timeout_s=60)
    async with serving(app) as risk_url:
        deps: RiskDeps = app.state.deps
        async with asyncio.timeout(30):
            while deps.rules.publication == 0:  # noqa: ASYNC110 - the first set is published by a task beside us
                await asyncio.sleep(0.01)
        deps.rules.deployed = replace(deps.rules.deployed, live=compile_rules(parse_rule_set(REVIEW)))
        async with (
            run_gateway(payments_database, tmp_path / "journals", risk_url=risk_url) as gateway,
            HttpClient("gateway", gateway.url, timeout_s=30) as to_gateway,
            HttpClient("risk", risk_url, timeout_s=30) as to_risk,
        ):
            by_risk = StreamConsumer(
                deps.engine,
                redis,
                PAYMENTS,
                "risk-engine",
                risk_tables.consumer_cursor,
                follow_payments,
                events_api(to_gateway, TOKEN),
                quarantine=quarantine,
                block_ms=1,
            )
            by_gateway = StreamConsumer(
                gateway.deps.engine,
                redis,
                verdicts.STREAM,
                verdicts.CONSUMER,
                gateway_tables.consumer_cursor,
                verdicts.keep_verdicts,
                events_api(to_risk, TOKEN),
                block_ms=1,
            )
            relays = (
                Relay(gateway.deps.engine, gateway_tables.outbox, redis, PAYMENTS),
                Relay(deps.engine, risk_tables.outbox, redis, verdicts.STREAM),
            )
            made = Platform(gateway, risk_url, deps, {"admin": TOKEN}, relays, (by_risk, by_gateway))
            for name in ("ada", "bob"):
                body = {"name": name, "role": "analyst"}
                made.staff[name] = (await made.risk("POST", "/v1/staff", body, who="admin"))["token"]
            yield made
    await redis.aclose()


async def held(platform: Platform) -> str:
    """A payment that the real engine wants reviewed: held, not captured."""
    payment = (await platform.gateway.pay()).body
    assert (payment["status"], payment["risk"]["decision"]) == ("authorised", "review")
    await platform.events_flow()
    return str(payment["id"])


async def carried_out(platform: Platform) -> None:
    """The verdict travels, is carried out, and what came of it travels back."""
    await platform.events_flow()
    await verdicts.apply_verdicts(platform.gateway.deps)
    await platform.events_flow()


async def test_an_approved_payment_is_captured_and_the_case_says_so(platform: Platform) -> None:
    payment_id = await held(platform)
    case_id = await platform.decide("approve")
    assert await platform.effect(case_id) == ("held", "pending")
    await carried_out(platform)
    assert await platform.gateway.status(payment_id) == "captured"
    assert await platform.effect(case_id) == ("captured", "captured")
    labels = (await platform.risk("GET", f"/v1/labels?payment_id={payment_id}"))["data"]
    assert [(one["kind"], one["source"]) for one in labels] == [("legitimate", "case")]
    assert (await platform.gateway.verification())["balanced"]


async def test_a_rejected_payment_is_given_up_and_the_case_says_so(platform: Platform) -> None:
    payment_id = await held(platform)
    case_id = await platform.decide("reject")
    await carried_out(platform)
    assert await platform.gateway.status(payment_id) == "voided"
    assert await platform.effect(case_id) == ("given_up", "given_up")
    labels = (await platform.risk("GET", f"/v1/labels?payment_id={payment_id}"))["data"]
    assert [(one["kind"], one["source"]) for one in labels] == [("fraud", "case")]


async def test_a_merchant_who_captures_meanwhile_is_to_refund_and_the_case_says_so(
    platform: Platform,
) -> None:
    payment_id = await held(platform)
    case_id = await platform.decide("reject")
    assert (await platform.gateway.post(f"/v1/payments/{payment_id}/capture")).status == 200
    await carried_out(platform)
    payment = await platform.gateway.payment(payment_id)
    assert (payment["status"], payment["refunded_minor"]) == ("captured", 0)
    assert await platform.effect(case_id) == ("captured", "refund_by_hand")


async def test_a_hold_that_the_merchant_gives_up_leaves_nothing_to_decide(platform: Platform) -> None:
    payment_id = await held(platform)
    assert (await platform.gateway.post(f"/v1/payments/{payment_id}/void")).status == 200
    await platform.events_flow()
    assert (await platform.risk("POST", "/v1/cases/next", {}))["case"] is None


async def test_events_that_come_again_or_by_the_other_way_change_nothing(platform: Platform) -> None:
    """Redis loses everything between verdict and capture: the events API has it, and it counts once."""
    payment_id = await held(platform)
    case_id = await platform.decide("approve")
    await platform.relays[1].run_once()
    redis = create_redis(platform.risk_deps.settings.streams)
    await redis.flushall()
    await redis.aclose()
    for _ in range(3):
        await carried_out(platform)
        await asyncio.sleep(0.15)  # a consumer that lost its group looks again after a moment
    assert await platform.gateway.status(payment_id) == "captured"
    assert await platform.effect(case_id) == ("captured", "captured")


async def test_a_payer_who_disputes_a_payment_as_fraud_labels_it(platform: Platform) -> None:
    payment = (await platform.gateway.pay("tok_dispute")).body
    await platform.events_flow()
    await platform.decide("approve")
    await carried_out(platform)
    async with asyncio.timeout(60):
        while True:
            await platform.events_flow()
            found = await platform.risk("GET", f"/v1/labels?payment_id={payment['id']}&source=dispute")
            if found["data"]:
                break
            await asyncio.sleep(0.05)
    assert [one["kind"] for one in found["data"]] == ["fraud"], "later than the person, and of another source"


async def test_the_gateway_s_worker_reads_verdicts_by_itself(
    platform: Platform, clean_redis_url: str
) -> None:
    """With the deps that its tasks are given, and nothing called step by step but the task itself."""
    payment_id = await held(platform)
    case_id = await platform.decide("approve")
    settings = platform.gateway.deps.settings.model_copy(
        update={"redis_url": clean_redis_url, "risk_url": platform.risk_url}
    )
    await platform.relays[1].run_once()
    async with verdicts.open_following(settings) as deps, asyncio.timeout(60):
        while not await verdicts.apply_verdicts(deps):  # noqa: ASYNC110 - it is read by a task beside us
            await asyncio.sleep(0.05)
    await platform.events_flow()
    assert await platform.gateway.status(payment_id) == "captured"
    assert await platform.effect(case_id) == ("captured", "captured")
