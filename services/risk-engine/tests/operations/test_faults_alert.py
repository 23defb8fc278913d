"""The real faults: each ends in the declared fallback and in an alert, and the alert ends when the fault does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from alert_rig import rows
from risk_rig import KillableRedis, a_document, a_subject, settings_for
from sqlalchemy import text

from platform_kit.clock import FixedClock
from platform_kit.redis import create_redis
from risk_engine.clients import model
from risk_engine.clients.features import FeatureStore
from risk_engine.domain.failure_policy import FAILURE_POLICY, Band, Fault
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deps, open_deps
from risk_engine.operations.find_alerts import find_alerts
from risk_engine.operations.raise_alerts import raise_alerts
from risk_engine.operations.rebuild_velocity import rebuild_velocity
from risk_engine.operations.reload_rules import reload_rules

QUIET = timedelta(minutes=3)  # after it the alerts of velocity resolve
OF_FAULTS = (
    "redis_memory",
    "velocity_lost",
    "velocity_cold",
    "model_missing",
    "rules_file_refused",
    "rule_set_refused",
    "clock_skew",
)


async def alerts(deps: Deps) -> dict[str, str]:
    found = (await find_alerts(deps, None, 100))["data"]
    return {one["kind"]: one["status"] for one in found if one["kind"] in OF_FAULTS}


async def decide(deps: Deps, start: int, number: int = 6, **changes: Any) -> list[dict[str, Any]]:
    """Payments of one card, now."""
    at = datetime.now(UTC)
    subjects = [a_subject(start + n, occurred_at=at, **changes) for n in range(number)]
    return [dict(await assess_payment(deps, subject)) for subject in subjects]


async def card_count(deps: Deps) -> int:
    """What the newest decision has seen of its card."""
    found = await rows(deps, "SELECT facts FROM risk.assessment ORDER BY id DESC LIMIT 1")
    return int(found[0].facts["card_count_10m"])


@pytest.fixture
async def fragile(
    new_database: Callable[[], Awaitable[str]], killable_redis: KillableRedis
) -> AsyncIterator[Deps]:
    """Warm deps on a Redis that the test may take away."""
    settings = settings_for(await new_database(), killable_redis.url)
    async with open_deps(settings) as opened:
        await opened.features.mark_warm()
        await decide(opened, 0, 3)
        yield opened


async def test_redis_gone_and_back_empty(fragile: Deps, killable_redis: KillableRedis) -> None:
    killable_redis.kill()
    for answer in await decide(fragile, 10):
        assert answer["degraded"] == [Fault.VELOCITY]
        assert answer["decision"] == FAILURE_POLICY[Fault.VELOCITY][Band.LOW]
    await raise_alerts(fragile)
    assert await alerts(fragile) == {"velocity_lost": "firing"}

    killable_redis.start()
    assert all(Fault.VELOCITY_COLD in answer["degraded"] for answer in await decide(fragile, 20))
    await raise_alerts(fragile)
    assert (await alerts(fragile))["velocity_cold"] == "firing"

    await rebuild_velocity(fragile)
    (answer,) = await decide(fragile, 30, 1)
    assert answer["degraded"] == []
    assert await card_count(fragile) == 3 + 6 + 6 + 1, "from Postgres, those decided without Redis among them"
    await raise_alerts(fragile, now=datetime.now(UTC) + 2 * QUIET + timedelta(minutes=2))
    assert await alerts(fragile) == {"velocity_lost": "resolved", "velocity_cold": "resolved"}


async def test_redis_nearly_full(fragile: Deps) -> None:
    async with create_redis(fragile.settings.velocity) as redis:
        await redis.config_set("maxmemory", int((await redis.info("memory"))["used_memory"] / 0.85))
        await raise_alerts(fragile)
        assert await alerts(fragile) == {"redis_memory": "firing"}
        assert (await decide(fragile, 10, 1))[0]["degraded"] == [], "there is room to count who is known"
        await redis.config_set("maxmemory", 0)
    await raise_alerts(fragile, now=datetime.now(UTC) + timedelta(minutes=6))
    await raise_alerts(fragile, now=datetime.now(UTC) + timedelta(minutes=12))
    assert await alerts(fragile) == {"redis_memory": "resolved"}


async def test_redis_slow(fragile: Deps, killable_redis: KillableRedis) -> None:
    impatient = replace(fragile, features=FeatureStore(fragile.redis, timeout_s=0.05))
    with killable_redis.frozen():
        for answer in await decide(impatient, 10):
            assert answer["degraded"] == [Fault.VELOCITY]
        await raise_alerts(fragile)
    assert await alerts(fragile) == {"velocity_lost": "firing"}
    summary = (await find_alerts(fragile, None, 1, kind="velocity_lost"))["data"][0]["summary"]
    assert summary == "6 of 9 decisions were made without velocity windows."


async def test_redis_wiped_under_traffic(fragile: Deps) -> None:
    stop = asyncio.Event()
    answers: list[dict[str, Any]] = []

    async def traffic() -> None:
        number = 100
        while not stop.is_set():
            answers.extend(await decide(fragile, number, 1))
            number += 1

    running = asyncio.create_task(traffic())
    while len(answers) < 5:  # noqa: ASYNC110 - traffic of another task
        await asyncio.sleep(0.01)
    await fragile.redis.flushall()
    while sum(Fault.VELOCITY_COLD in answer["degraded"] for answer in answers) < 5:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await raise_alerts(fragile)
    assert await alerts(fragile) == {"velocity_cold": "firing"}
    await rebuild_velocity(fragile)
    stop.set()
    await running
    await decide(fragile, 999, 1)
    assert await card_count(fragile) == 3 + len(answers) + 1, "nothing lost, nothing counted twice"


@pytest.mark.parametrize("content", ["", "tree\nversion=v4\nnum_class=one\n", None])
async def test_a_broken_model_file(deps: Deps, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "model.txt"
    if content is None:  # cut off in the middle of a tree
        whole = model.PACKAGED.read_text()
        path.write_text(whole[: len(whole) // 2])
    else:
        path.write_text(content)
    path.with_suffix(".json").write_bytes(model.PACKAGED.with_suffix(".json").read_bytes())
    async with open_deps(deps.settings.model_copy(update={"model_file": path})) as broken:
        for answer in await decide(broken, 10):
            assert (answer["degraded"], answer["model"]) == ([Fault.MODEL], None)
        await raise_alerts(broken)
        assert await alerts(broken) == {"model_missing": "firing"}
    await raise_alerts(deps, now=datetime.now(UTC) + timedelta(minutes=12))
    assert await alerts(deps) == {"model_missing": "resolved"}


@pytest.mark.parametrize("content", ["name = ", "name = 'x'", None])
async def test_a_broken_rule_file(deps: Deps, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "rules.toml"
    if content is not None:
        path.write_text(content)
    async with open_deps(deps.settings.model_copy(update={"rules_file": path})) as broken:
        (answer,) = await decide(broken, 10, 1)
        assert answer["rule_set"] == deps.rules.compiled.rule_set.hash, "the packaged rules"
        await raise_alerts(broken)
        assert await alerts(broken) == {"rules_file_refused": "firing"}
    await raise_alerts(deps)
    assert await alerts(deps) == {"rules_file_refused": "resolved"}


async def test_a_published_set_that_does_not_compile(deps: Deps) -> None:
    document = a_document(name="newer", rules=[{"id": "x", "when": "made_by_newer_code > 1"}])
    async with deps.engine.begin() as conn:
        await conn.execute(PUBLISH_UNCHECKED, {"hash": "e" * 64, "document": orjson.dumps(document).decode()})
        await conn.execute(POINT_AT, {"hash": "e" * 64})
    assert not await reload_rules(deps)
    (answer,) = await decide(deps, 10, 1)
    assert answer["degraded"] == []
    await raise_alerts(deps)
    assert await alerts(deps) == {"rule_set_refused": "firing"}


PUBLISH_UNCHECKED = text("""
    INSERT INTO risk.rule_set (hash, name, document, saved_by) VALUES (:hash, 'newer', CAST(:document AS jsonb), 'x')
""")
POINT_AT = text("""
    INSERT INTO risk.rule_set_publication (rule_set, act, acted_by) VALUES (:hash, 'publish', 'x')
""")


@pytest.mark.parametrize("jump", [timedelta(hours=3), -timedelta(hours=3)])
async def test_the_clock_of_a_deciding_process_jumps(deps: Deps, jump: timedelta) -> None:
    jumped = replace(deps, clock=FixedClock(datetime.now(UTC) + jump))
    for answer in await decide(jumped, 10, 2):
        assert answer["degraded"] == [], "deadlines go by a clock that cannot jump"
    await decide(deps, 20, 1)
    assert await card_count(deps) == 3, "windows go by the payment's own time"
    await raise_alerts(deps)
    assert await alerts(deps) == {"clock_skew": "firing"}
    found = (await find_alerts(deps, None, 1, kind="clock_skew"))["data"][0]
    assert found["scope"] == "deciding"
    assert abs(found["details"]["measures"]["skew_ms"] - jump.total_seconds() * 1000) < 20_000
