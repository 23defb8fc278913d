"""`make bench-ingest`: events per second from the stream into event store, facts and roll-ups; a big reconciliation.

The real StreamConsumer reads a real Redis and commits to a real Postgres with fsync on; events are those of the
gateway for card payments (created, then captured with a journal), in batches as the consumer makes them. Beside the
rate stand the times of its parts and the CPU of this process, because producer, Redis and Postgres share the machine:
`per_core` is events per second of the consumer's own CPU. The reconciliation is the pure function, one million lines
a side with breaks of every class. Ends with exit code 1 when figures do not add up.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import orjson
import uvloop
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks import report
from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.domain.matching import FileLine, LedgerLine
from data_pipeline.domain.reconciliation import reconcile
from data_pipeline.domain.settlement import SettlementFile, SettlementLine, SettlementType, generate, parse
from data_pipeline.operations.ingest_events import ingest_into, set_aside_from
from data_pipeline.operations.match_day import collection_paused
from data_pipeline.settings import CONSUMER, Settings
from data_pipeline.store.tables import cursor
from platform_cli.embedded.testing import DatabaseFactory, test_servers
from platform_kit.clock import FixedClock, isoformat
from platform_kit.db import create_engine
from platform_kit.ids import new_id
from platform_kit.outbox import EventPage
from platform_kit.redis import create_redis
from platform_kit.streams import StreamConsumer

EVENTS = int(os.environ.get("BENCH_EVENTS", "20000"))
BATCHES = (50, 200, 500)
LINES = int(os.environ.get("BENCH_LINES", "1000000"))
GOAL_EVENTS_PER_S = 500  # event to dashboard within 5 s at this rate (data.md 14)
GOAL_RECONCILE_S = 10.0
DAY = datetime(2026, 11, 23, tzinfo=UTC)
MERCHANTS = [new_id("mer") for _ in range(20)]


def envelopes(count: int) -> list[dict[str, Any]]:
    """Card payments over a day: created, then captured with a journal."""
    dice = random.Random(1)
    made: list[dict[str, Any]] = []
    while len(made) < count:
        at = DAY + timedelta(seconds=len(made) * 86_000 / count)
        payment = _payment(dice, at)
        began = payment | {"status": "processing", "captured_minor": 0, "authorised_minor": 0, "version": 1}
        made.append(_envelope(len(made) + 1, "payment.created.v1", began, at, None, None))
        journal = _journal(payment)
        attempt = {
            "id": new_id("att"),
            "operation": "authorise",
            "channel": "card_sim",
            "channel_reference": new_id("ch"),
            "outcome": "succeeded",
        }
        done = at + timedelta(milliseconds=40)
        made.append(_envelope(len(made) + 1, "payment.captured.v1", payment, done, journal, attempt))
    return made[:count]


def _payment(dice: random.Random, at: datetime) -> dict[str, Any]:
    amount = dice.randint(100, 50_000)
    risk = {"assessment_id": new_id("asm"), "decision": "allow", "score": 9, "reasons": [], "fallback": False}
    return {
        "id": new_id("pay"),
        "object": "payment",
        "merchant_id": dice.choice(MERCHANTS),
        "status": "captured",
        "amount_minor": amount,
        "currency": dice.choice(["EUR", "USD", "JPY"]),
        "authorised_minor": amount,
        "captured_minor": amount,
        "refunded_minor": 0,
        "capture": "automatic",
        "method": {"type": "card", "token_hint": "tok_visa"},
        "channel": "card_sim",
        "reference": new_id("ord"),
        "description": None,
        "decline_code": None,
        "next_action": None,
        "risk": risk,
        "customer": {
            "id": new_id("cus"),
            "country": "DE",
            "ip": "192.0.2.1",
            "device_id": None,
            "email": None,
        },
        "metadata": {},
        "version": 2,
        "created_at": isoformat(at),
        "updated_at": isoformat(at),
    }


def _journal(payment: dict[str, Any]) -> dict[str, Any]:
    transfer = {
        "debit": "channel:card_sim:receivable",
        "credit": f"merchant:{payment['merchant_id']}:available",
        "amount_minor": payment["amount_minor"],
        "currency": payment["currency"],
        "kind": "posted",
    }
    return {"id": new_id("je"), "transfers": [transfer]}


def _envelope(
    position: int, type_: str, payment: dict[str, Any], at: datetime, journal: Any, attempt: Any
) -> dict[str, Any]:
    return {
        "id": new_id("evt"),
        "type": type_,
        "position": position,
        "occurred_at": isoformat(at),
        "aggregate_id": payment["id"],
        "merchant_id": payment["merchant_id"],
        "traceparent": None,
        "data": {"payment": payment, "refund": None, "journal": journal, "attempt": attempt},
    }


async def _nothing_more(_after: int, _limit: int) -> EventPage:
    return EventPage([], EVENTS)


async def ingest(
    database_url: str, redis: Redis, told: Sequence[dict[str, Any]], batch_max: int
) -> dict[str, Any]:
    """Read the whole stream once; the rate, and what the warehouse holds afterwards."""
    await redis.flushall()
    await redis.xgroup_create(PAYMENTS, CONSUMER, id="0", mkstream=True)
    for start in range(0, len(told), 1000):
        pipeline = redis.pipeline(transaction=False)
        for one in told[start : start + 1000]:
            pipeline.xadd(PAYMENTS, {"position": one["position"], "event": orjson.dumps(one)})
        await pipeline.execute()
    engine = create_engine(Settings(database_url=database_url))
    consumer = StreamConsumer(
        engine,
        redis,
        PAYMENTS,
        CONSUMER,
        cursor,
        ingest_into(PAYMENTS, FixedClock(DAY + timedelta(days=1))),
        _nothing_more,
        quarantine=set_aside_from(PAYMENTS),
        batch_max=batch_max,
    )
    cpu, began = time.process_time(), time.perf_counter()
    while consumer.position < len(told):
        await consumer.run_once()
    taken_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    figures = {
        "batch_max": batch_max,
        "events": len(told),
        "events_per_s": round(len(told) / taken_s),
        "consumer_cpu_share": round(cpu_s / taken_s, 2),
        "per_core": round(len(told) / cpu_s),
        "adds_up": await _adds_up(engine, told),
    }
    await engine.dispose()
    return figures


async def _adds_up(engine: AsyncEngine, told: Sequence[dict[str, Any]]) -> bool:
    """Stored once each, and the roll-up equal to what was told."""
    captured = sum(one["data"]["payment"]["captured_minor"] for one in told if one["data"]["journal"])
    async with engine.connect() as conn:
        stored = await conn.scalar(text("SELECT count(*) FROM pipeline.stored_event"))
        rolled = await conn.scalar(
            text("SELECT sum(captured_minor) FROM pipeline.rollup WHERE grain = 'day'")
        )
    return bool(stored == len(told) and rolled == captured)


def reconcile_a_big_day(count: int) -> dict[str, Any]:
    """`count` lines a side, one break of five classes in every thousand lines; times of parsing and matching."""
    lines = [
        SettlementLine(
            "card_sim", f"ch_{n}", f"att_{n}", SettlementType.CHARGE, 100 + n % 900, "EUR", 3, DAY.date()
        )
        for n in range(count)
    ]
    ledger = [
        LedgerLine(
            f"je_{n}",
            f"ch_{n}",
            f"att_{n}",
            SettlementType.CHARGE,
            100 + n % 900,
            "EUR",
            DAY + timedelta(hours=9),
        )
        for n in range(count)
    ]
    expected = _break_some(lines, ledger)
    raw = generate(lines)
    began = time.perf_counter()
    read = parse(raw, channel="card_sim", day=DAY.date())
    parsed_s = time.perf_counter() - began
    assert isinstance(read, SettlementFile)
    cpu, began = time.process_time(), time.perf_counter()
    numbered = [FileLine(number, line) for number, line in enumerate(read.lines, start=2)]
    with collection_paused():
        outcome = reconcile(DAY.date(), "card_sim", ledger, numbered, file_made_at=DAY + timedelta(days=3))
    matched_s, matched_cpu_s = time.perf_counter() - began, time.process_time() - cpu
    return {
        "lines_a_side": count,
        "parse_s": round(parsed_s, 2),
        "match_s": round(matched_s, 2),
        "match_cpu_s": round(matched_cpu_s, 2),
        "breaks_put_in": expected,
        "breaks_found": len(outcome.breaks),
    }


def _break_some(lines: list[SettlementLine], ledger: list[LedgerLine]) -> int:
    """Every 5,000th line: amount, currency, missing on either side, doubled; how many breaks that makes."""
    put_in = 0
    for start in range(0, len(lines) - 5, 5000):
        lines[start] = replace(lines[start], amount_minor=lines[start].amount_minor + 1)
        lines[start + 1] = replace(lines[start + 1], currency="USD")
        lines[start + 2] = replace(lines[start + 2], channel_reference=f"x_{start}", channel_key=f"y_{start}")
        lines.append(lines[start + 3])
        put_in += 5  # the third is missing on both sides under its two names
    return put_in


async def main() -> int:
    console = Console()
    told = envelopes(EVENTS)
    runs: list[dict[str, Any]] = []
    with test_servers(durable=True) as servers:
        factory = DatabaseFactory(servers.admin_url)
        async with create_redis(servers.redis_url) as redis:
            for batch_max in BATCHES:
                database = await factory.create("pipeline")
                runs.append(await ingest(database.app_url, redis, told, batch_max))
                await factory.drop(database)
            database = await factory.create("pipeline")
            profile = cProfile.Profile()
            profile.enable()
            await ingest(database.app_url, redis, told[: EVENTS // 4], 200)
            profile.disable()
    big = reconcile_a_big_day(LINES)
    path = report.write("ingest", {"ingest": runs, "reconciliation": big, "profile": _hottest(profile)})
    console.print(_table(runs))
    console.print(
        f"reconciliation of {big['lines_a_side']:,} lines a side (goal {GOAL_RECONCILE_S:.0f} s): "
        f"parse {big['parse_s']} s, match {big['match_s']} s, of it CPU {big['match_cpu_s']} s; "
        f"{big['breaks_found']:,} of {big['breaks_put_in']:,} breaks found"
    )
    console.print(f"figures in {path}")
    return 0 if all(run["adds_up"] for run in runs) and big["breaks_found"] == big["breaks_put_in"] else 1


def _hottest(profile: cProfile.Profile) -> list[str]:
    """The ten functions with most time of their own."""
    out = StringIO()
    pstats.Stats(profile, stream=out).sort_stats("tottime").print_stats(10)
    return [line.strip() for line in out.getvalue().splitlines() if "/" in line and "(" in line][:10]


def _table(runs: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=f"Ingest of {EVENTS:,} events (goal {GOAL_EVENTS_PER_S}/s)")
    for name in ("batch", "events/s", "per core", "own CPU", "adds up"):
        table.add_column(name, justify="right")
    for run in runs:
        table.add_row(
            str(run["batch_max"]),
            f"{run['events_per_s']:,}",
            f"{run['per_core']:,}",
            f"{run['consumer_cpu_share']:.0%}",
            "yes" if run["adds_up"] else "NO",
        )
    return table


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
