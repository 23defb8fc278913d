"""Builders and doubles of the risk engine's tests."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from platform_cli.embedded import redis as embedded_redis
from platform_cli.embedded.running import RunningServer, free_port, launch, wait_until
from platform_kit.ids import new_id
from risk_engine.clients.rule_files import PACKAGED, read_rule_document
from risk_engine.domain.assessment import LIFETIME, Assessment
from risk_engine.domain.decision import Decision
from risk_engine.domain.facts import Subject, build_facts
from risk_engine.domain.failure_policy import Band, Fault
from risk_engine.domain.rule_documents import parse_rule_set
from risk_engine.domain.rules import Evaluation, Reason, RuleSet
from risk_engine.domain.velocity import empty_windows
from risk_engine.settings import Settings

TOKEN = "internal-test"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def settings_for(database_url: str, redis_url: str, **overrides: Any) -> Settings:
    """Settings of one process; the deadline is long because two busy cores are not what is tested."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "redis_url": redis_url,
        "internal_token": SecretStr(TOKEN),
        "deadline_ms": 1000,
    }
    return Settings(**(values | overrides))


def a_subject(number: int = 1, **changes: Any) -> Subject:
    """An ordinary card payment of 12.50 euro at noon."""
    subject = Subject(
        merchant_id="mer_1",
        key=f"key-{number}",
        payment_id=f"pay_{number}",
        amount_minor=1250,
        currency="EUR",
        method="card",
        occurred_at=NOON,
        card="card-1",
        customer_id="customer-1",
        country="DE",
        ip="ip-1",
        device="device-1",
    )
    return replace(subject, **changes)


def facts_of(subject: Subject | None = None, **windows: Any) -> dict[str, Any]:
    """All declared facts of a payment, with the given ones replaced."""
    made = build_facts(subject or a_subject(), Band.LOW, 1250, empty_windows(), 0)
    return made | windows


def a_rule(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"rule_{number}",
        "when": "amount_minor > 100000",
        "then": "review",
        "code": f"code_{number}",
        "text": "A sentence.",
    } | changes


def a_document(**changes: Any) -> dict[str, Any]:
    """A small rule document."""
    document: dict[str, Any] = {
        "name": "test",
        "reference_currency": "EUR",
        "reference_rates": {"EUR": 1_000_000, "USD": 900_000, "JPY": 6_000, "KWD": 2_900_000},
        "amount_bands": {"EUR": {"medium": 5_000, "high": 50_000, "very_high": 200_000}},
        "score_bands": [],
        "rules": [a_rule()],
    }
    return document | changes


def a_rule_set(**changes: Any) -> RuleSet:
    return parse_rule_set(a_document(**changes))


def packaged_document() -> dict[str, Any]:
    return read_rule_document(PACKAGED)


def an_assessment(number: int = 1, **changes: Any) -> Assessment:
    """A reviewed payment, decided without a model."""
    made = Assessment(
        id=new_id("asm"),
        fingerprint=b"same request",
        subject=a_subject(number),
        decision=Decision.REVIEW,
        score=0,
        reasons=(Reason("code_1", "A sentence."),),
        degraded=(Fault.MODEL,),
        rule_set="0" * 64,
        model=None,
        facts=facts_of(),
        evaluation=Evaluation(),
        timings_us={"velocity": 100},
        expires_at=NOON + LIFETIME,
    )
    return replace(made, **changes)


def a_request(number: int = 1, **changes: Any) -> dict[str, Any]:
    """The body that the gateway sends."""
    body: dict[str, Any] = {
        "merchant_id": "mer_1",
        "idempotency_key": f"key-{number}",
        "payment_id": f"pay_{number}",
        "amount_minor": 1250,
        "currency": "EUR",
        "method": "card",
        "card": "tok_visa_4711",
        "customer": {"id": "cus_1", "country": "DE", "ip": "192.0.2.1", "device_id": "device-1"},
        "occurred_at": "2026-11-23T02:00:00Z",
    }
    return body | changes


class KillableRedis:
    """A Redis that a test may kill, freeze and start again on the same port; it keeps nothing on disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server: RunningServer | None = None
        self.port = free_port()
        self.url = embedded_redis.url(self.port)

    def start(self) -> None:
        log = self._directory / "redis.log"
        command = embedded_redis.configure(self._directory, self.port, "", is_durable=False)
        process = launch(command, log, dict(os.environ), None)
        wait_until(lambda: embedded_redis.is_ready(self.port), process, log)
        self._server = RunningServer("redis", process, self.port, self.url, log)

    def kill(self) -> None:
        """SIGKILL: nothing is saved."""
        if self._server is not None:
            self._server.stop(signal.SIGKILL)
            self._server = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It accepts connections and answers nothing."""
        assert self._server is not None
        os.kill(self._server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._server.pid, signal.SIGCONT)


class FixedScorer:
    """A Scorer that always says the same."""

    hash = "fixed"

    def __init__(self, score: int) -> None:
        self._score = score

    def score(self, row: list[float]) -> int:
        return self._score


def codes(answer: Mapping[str, Any]) -> list[str]:
    return [reason["code"] for reason in answer["reasons"]]
