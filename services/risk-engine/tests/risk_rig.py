"""Builders and doubles of the risk engine's tests."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI
from pydantic import SecretStr

from platform_cli.embedded import redis as embedded_redis
from platform_cli.embedded.running import RunningServer, free_port, launch, wait_until
from platform_kit.ids import new_id
from risk_engine.clients.rule_files import PACKAGED, read_rule_document
from risk_engine.domain.assessment import LIFETIME, Assessment
from risk_engine.domain.decision import Decision
from risk_engine.domain.facts import Subject, build_facts, no_windows
from risk_engine.domain.failure_policy import Band, Fault
from risk_engine.domain.features import MODEL_FEATURES
from risk_engine.domain.rule_documents import parse_rule_set
from risk_engine.domain.rules import Evaluation, Reason, RuleSet
from risk_engine.domain.score import Estimate
from risk_engine.domain.staff import Actor, Role
from risk_engine.operations.backtest_rule_set import ask_for_backtest, get_backtest, run_backtests
from risk_engine.operations.deps import Deps
from risk_engine.operations.manage_rule_sets import approve_rule_set, save_rule_set
from risk_engine.operations.publish_rule_set import publish_rule_set
from risk_engine.settings import Settings

TOKEN = "internal-test"
ADA, BOB = Actor("ada", Role.LEAD), Actor("bob", Role.ANALYST)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def settings_for(database_url: str, redis_url: str, **overrides: Any) -> Settings:
    """Settings of one process; unless a test is about them, deadlines are longer than a deployment may have, because a
    machine that stands still for seconds is not what is tested."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "redis_url": redis_url,
        "velocity_url": f"{redis_url}?socket_timeout=60&socket_connect_timeout=60",
        "internal_token": SecretStr(TOKEN),
    }
    patient = {"deadline_ms": 60_000, "velocity_timeout_ms": 30_000}
    settings = Settings(**(values | overrides))
    return settings.model_copy(
        update={name: value for name, value in patient.items() if name not in overrides}
    )


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
    made = build_facts(subject or a_subject(), Band.LOW, 1250, no_windows(), 0)
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


async def saved(deps: Deps, document: dict[str, Any]) -> str:
    """Bob saves it."""
    rule_set: str = (await save_rule_set(deps, document, BOB))["hash"]
    return rule_set


async def backtested(deps: Deps, rule_set: str) -> dict[str, Any]:
    """The report of a set over the decisions of the last hour."""
    now = deps.clock.now()
    hour = timedelta(hours=1)
    asked = await ask_for_backtest(deps, rule_set, now - hour, now + hour, BOB)
    await run_backtests(deps)
    report: dict[str, Any] = (await get_backtest(deps, asked["id"]))["report"]
    return report


async def approved(deps: Deps, document: dict[str, Any]) -> str:
    """Bob saves and tries it, Ada approves it."""
    rule_set = await saved(deps, document)
    await backtested(deps, rule_set)
    await approve_rule_set(deps, rule_set, None, ADA)
    return rule_set


async def published(deps: Deps, document: dict[str, Any]) -> str:
    """A set on its whole way to being live."""
    rule_set = await approved(deps, document)
    await publish_rule_set(deps, rule_set, ADA)
    return rule_set


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
        probability_ppm=None,
        reasons=(Reason("code_1", "A sentence."),),
        degraded=(Fault.MODEL,),
        rule_set="0" * 64,
        model=None,
        facts=facts_of(),
        evaluation=Evaluation(),
        let_through=False,
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
    features = MODEL_FEATURES

    def __init__(self, score: int) -> None:
        self._score = score

    def score(self, row: list[float]) -> int:
        return self._score

    def estimate(self, row: list[float]) -> Estimate:
        score = self.score(row)
        return Estimate(score, score * 10_000)


def codes(answer: Mapping[str, Any]) -> list[str]:
    return [reason["code"] for reason in answer["reasons"]]


async def eventually(holds: Callable[[], Awaitable[bool]], within_s: float = 30) -> float:
    """Wait until `holds()`; returns the seconds it took. Raises TimeoutError."""
    began = time.perf_counter()
    async with asyncio.timeout(within_s):
        while not await holds():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.02)
    return time.perf_counter() - began


@dataclass(frozen=True)
class Answer:
    """A response, whole."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return orjson.loads(self.content)


class Api:
    """Calls of the application in this loop: no server, no client library between."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.deps: Deps = app.state.deps

    async def post(self, path: str, body: Any, **headers: str) -> Answer:
        """`body` as JSON; bytes are sent as they are."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.call("POST", path, content, {"content_type": "application/json"} | headers)

    async def token_of(self, name: str, role: str) -> dict[str, str]:
        """Admit a person; gives the header that they send."""
        made = (await self.post("/v1/staff", {"name": name, "role": role})).body
        return {"authorization": f"Bearer {made['token']}"}

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.call("GET", path, b"", headers)

    async def call(
        self, method: str, path: str, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        path, _, query = path.partition("?")
        given = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        sent = {"authorization": f"Bearer {TOKEN}", "content-length": str(len(content))} | given
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in sent.items() if value],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
            "scheme": "http",
            "root_path": "",
            "state": {},
        }
        messages: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        start = next(one for one in messages if one["type"] == "http.response.start")
        whole = b"".join(one.get("body", b"") for one in messages if one["type"] == "http.response.body")
        return Answer(start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, whole)


async def typed(url: str, token: str, *words: str) -> tuple[int, str, str]:
    """Exit code, output and errors of `platform risk …` as a person with this token types it."""
    env = os.environ | {"RISK_URL": url, "INTERNAL_TOKEN": TOKEN, "RISK_STAFF_TOKEN": token, "COLUMNS": "200"}
    command = [sys.executable, "-m", "platform_cli.app", "risk", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr
