"""The same windows twice: by the one Lua call as payments come, and by SQL over the history afterwards."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from risk_rig import NOON, a_subject
from sqlalchemy import text

from platform_kit.redis import create_redis
from risk_engine.clients.features import FeatureStore
from risk_engine.domain.facts import Subject
from risk_engine.domain.velocity import SERIES, Series
from risk_engine.operations.deps import Deps
from risk_engine.store.window_sql import window_sql

PAYMENTS = 400


@pytest.fixture
async def features(clean_redis_url: str) -> AsyncIterator[FeatureStore]:
    async with create_redis(clean_redis_url, timeout_s=60) as redis:
        yield FeatureStore(redis, timeout_s=60)


def history() -> list[tuple[str, Subject, int]]:
    """Payments over forty days, busy hours among them, each a few milliseconds after the one before at least; a third
    are declined at once. Few enough of each entity that no cap is reached."""
    draw, made, at = Random(7), list[tuple[str, Subject, int]](), NOON
    for number in range(PAYMENTS):
        at += timedelta(milliseconds=draw.choice((7, 5_000, 90_000, 600_000, 20_000_000)))
        subject = a_subject(
            number,
            occurred_at=at,
            card=f"card-{draw.randrange(30)}",
            card_bin=draw.choice(("42424242", "515151", "")),
            customer_id=draw.choice(("", *(f"customer-{n}" for n in range(12)))),
            country=draw.choice(("", "DE", "FR")),
            device=f"device-{draw.randrange(20)}",
            ip=f"ip-{draw.randrange(10)}",
            email=draw.choice(("", "email-1", "email-2")),
            terminal=draw.choice(("", *(f"terminal-{n}" for n in range(4)))),
        )
        made.append(("payments", subject, draw.randrange(1, 50_000)))
        if draw.random() < 0.3:
            made.append(("declines", replace(subject, occurred_at=at + timedelta(milliseconds=3)), 0))
        if subject.terminal and draw.random() < 0.1:
            made.append(("frauds", subject, 0))
    return made


async def by_sql(
    deps: Deps, series: Series, told: list[tuple[str, Subject, int]]
) -> dict[str, dict[str, Any]]:
    rows = [
        {
            "kind": kind,
            "id": subject.key,
            "entity": subject.entities()[series.entity],
            "at_ms": subject.occurred_at_ms,
            "amount": amount,
            "card": subject.card,
            "country": subject.country,
        }
        for kind, subject, amount in told
        if series.entity in subject.entities()
    ]
    names = ("id", "entity", "at_ms", "amount", "card", "country")
    points = [row for row in rows if row["kind"] == "payments"]
    events = [row for row in rows if row["kind"] == series.kind]
    async with deps.engine.begin() as conn:
        for table, filled in (("points", points), ("events", events)):
            await conn.execute(
                text(
                    f"CREATE TEMP TABLE {table} (id text, entity text, at_ms bigint, amount bigint, card text,"
                    " country text) ON COMMIT DROP"
                )
            )
            for row in filled:
                await conn.execute(
                    text(f"INSERT INTO {table} VALUES ({', '.join(f':{name}' for name in names)})"),
                    {name: row[name] for name in names},
                )
        found = await conn.execute(text(window_sql(series)))
        return {
            row.id: {window.name: getattr(row, window.name) for window in series.windows} for row in found
        }


async def test_every_window_of_every_payment_is_equal(deps: Deps, features: FeatureStore) -> None:
    told = history()
    online: dict[str, dict[str, Any]] = {}
    for kind, subject, amount in told:
        answered = await features._run(subject, amount, records=kind, timeout_s=60)
        if kind == "payments":
            online[subject.key] = dict(answered.windows)
    assert not any(windows[series.saturated] for windows in online.values() for series in SERIES)
    for series in SERIES:
        offline = await by_sql(deps, series, told)
        assert len(offline) > PAYMENTS / 2, series.name
        for key, windows in offline.items():
            assert windows == {name: online[key][name] for name in windows}, (series.name, key)
        assert any(any(windows.values()) for windows in offline.values()), (
            f"{series.name}: nothing was compared"
        )
