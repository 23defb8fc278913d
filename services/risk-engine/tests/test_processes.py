"""The commands as they are started: each does its part and leaves in order on SIGTERM."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis
from risk_rig import NOON, TOKEN, an_assessment, eventually
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_cli.embedded.running import free_port
from platform_kit.clock import isoformat
from platform_kit.db import create_engine
from platform_kit.outbox import Event
from risk_engine.clients.features import WARM_KEY
from risk_engine.operations.deps import Deps
from risk_engine.settings import Settings
from risk_engine.store.alerts import quarantine
from risk_engine.store.assessment_flush import flush, new_row
from risk_engine.worker import create_worker

pytestmark = pytest.mark.timing

Start = Callable[..., Any]


@pytest.fixture
async def engine(risk_settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(risk_settings)
    yield engine
    await engine.dispose()


@pytest.fixture
def start(risk_settings: Settings) -> Start:
    """`with start("relay") as process`: the real program; it must end with 0 within ten seconds of SIGTERM."""

    @contextmanager
    def start(command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        values = {
            "DATABASE_URL": make_url(risk_settings.database_url).render_as_string(hide_password=False),
            "REDIS_URL": risk_settings.redis_url,
            "INTERNAL_TOKEN": TOKEN,
            "GATEWAY_URL": "http://127.0.0.1:1",
        }
        program = str(Path(sys.executable).with_name("risk-engine"))
        process = subprocess.Popen(
            [program, command], env=os.environ | values | environment, stdout=subprocess.DEVNULL
        )
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) == 0
        finally:
            process.kill()
            process.wait()

    return start


async def count(engine: AsyncEngine, query: str) -> int:
    async with engine.connect() as conn:
        return int(await conn.scalar(text(query)) or 0)


async def test_the_consumer_stores_outcomes_warms_the_windows_and_leaves(
    start: Start, engine: AsyncEngine, clean_redis_url: str
) -> None:
    payment = {
        "id": "pay_1",
        "merchant_id": "mer_1",
        "amount_minor": 1250,
        "captured_minor": 1250,
        "currency": "EUR",
        "risk": {"assessment_id": "asm_1", "decision": "allow"},
    }
    envelope = {
        "id": "evt_1",
        "type": "payment.captured.v1",
        "position": 1,
        "occurred_at": isoformat(NOON),
        "aggregate_id": "pay_1",
        "merchant_id": "mer_1",
        "traceparent": None,
        "data": {"payment": payment},
    }
    async with Redis.from_url(clean_redis_url) as redis:
        await redis.xadd("events:payments", {"position": 1, "event": orjson.dumps(envelope)})
        await redis.xgroup_create("events:payments", "risk-engine", id="0")
        with start("consumer"):

            async def is_stored() -> bool:
                return await count(engine, "SELECT count(*) FROM risk.payment_outcome") == 1

            async def is_warm() -> bool:
                return bool(await redis.exists(WARM_KEY))

            await eventually(is_stored, 30)
            await eventually(is_warm, 30)


async def test_the_relay_puts_assessments_on_the_stream(
    start: Start, engine: AsyncEngine, clean_redis_url: str
) -> None:
    item = new_row(an_assessment(), float("inf"))
    async with engine.begin() as conn:
        await flush(conn, [item])
    async with Redis.from_url(clean_redis_url) as redis:
        with start("relay"):

            async def is_published() -> bool:
                return bool(await redis.xlen("events:risk") >= 2)

            await eventually(is_published, 30)
        entries: Any = await redis.xrange("events:risk")
    events = {event["type"]: event for event in (orjson.loads(fields[b"event"]) for _, fields in entries)}
    assert {event["position"] for event in events.values()} == {1, 2}
    assert events["assessment.made.v1"]["data"]["assessment"]["id"] == item.assessment.id
    assert events["case.opened.v1"]["data"]["case"]["payment_count"] == 1


async def test_the_worker_runs_what_the_schedule_sends(
    start: Start, engine: AsyncEngine, risk_settings: Settings
) -> None:
    """The ticks are sent from here: the schedule's own first ones come after a minute."""
    celery = create_worker(risk_settings)
    names = sorted(job.schedule_name for job in celery.jobs)
    assert names == [
        "periodic risk.chain_assessments",
        "periodic risk.deliver_alerts",
        "periodic risk.explain_decisions",
        "periodic risk.forget_old_rows",
        "periodic risk.raise_alerts",
        "periodic risk.run_backtests",
        "periodic risk.send_heartbeat",
        "periodic risk.watch_chain",
        "periodic risk.watch_decisions",
        "periodic risk.watch_drift",
        "periodic risk.watch_quality",
    ]
    for name in names:
        await asyncio.to_thread(celery.send_task, name)
    with start("worker"):

        async def all_jobs_ran() -> bool:
            query = "SELECT count(DISTINCT job) FROM risk.job_run WHERE finished_at IS NOT NULL"
            return await count(engine, query) == len(names)

        await eventually(all_jobs_ran, 40)


async def test_the_api_answers_while_redis_is_away(start: Start, engine: AsyncEngine) -> None:
    """Readiness does not ask for Redis: a decision without velocity is better than none."""
    port = free_port()

    def is_ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    with start("api", PORT=str(port), REDIS_URL="redis://127.0.0.1:1/0"):

        async def ready() -> bool:
            return await asyncio.to_thread(is_ready)

        await eventually(ready, 30)
    assert await count(engine, "SELECT count(*) FROM risk.rule_set_publication") == 1


async def test_an_event_that_cannot_be_applied_is_set_aside(deps: Deps) -> None:
    broken = Event("evt_1", "payment.declined.v1", "pay_1", {"payment": None}, NOON, None, None, 7)
    async with deps.engine.begin() as conn:
        await quarantine(conn, broken, TypeError("no payment"))
        await quarantine(conn, broken, TypeError("again"))
        rows = (await conn.execute(text("SELECT event_id, error FROM risk.quarantined_event"))).all()
    assert [tuple(row) for row in rows] == [("evt_1", "TypeError('no payment')")]
