"""`make bench-risk`: decisions per second and their latency, through the real api process over HTTP.

100 rules, 17 windows over 7 series (payments without a terminal), the packaged model, one durable assessment
and one event per decision; Postgres with fsync on. Three loads: one connection (latency without waiting),
eight, and 32 (throughput). The generator, Redis and Postgres share the machine, so beside the rate stands the
CPU of the api process alone: `per_core` is decisions per second of that CPU. The deadlines are set wide,
because a decision that a busy machine cuts short is cheaper than a whole one; how many answers took longer than
the real deadline is counted instead (`over_50_ms`). Ends with exit code 1 when a request failed or a decision
was degraded: then the figures are not of what they claim to be.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import uvloop
from redis import Redis
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.client import Request, Run, drive, post
from platform_cli.embedded.running import free_port
from platform_cli.embedded.testing import DatabaseFactory, test_servers
from risk_engine.clients.features import WARM_KEY
from risk_engine.clients.rule_files import PACKAGED, read_rule_document

SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CONNECTIONS = (1, 8, 32)
RULES = 100
RULES_GROWTH = (10, 500)  # 500 is the most that a set may have
PAYERS = 20_000  # customers, cards and devices: a day of a busy shop, most windows short as in life
FEW_PAYERS = 40  # so that their windows are full: the cost of history
TOKEN = "bench"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
GOAL_PER_CORE = 1_500
FreshUrl = Callable[[], str]  # makes a new migrated database


def rules_of(size: int) -> dict[str, Any]:
    """The packaged rules, cut or filled up with conditions of the same kind that rarely match."""
    document = read_rule_document(PACKAGED)
    document["rules"] = document["rules"][:size]
    filling = size - len(document["rules"])
    document["rules"] += [
        {
            "id": f"filling_{number}",
            "when": f'amount_reference_minor > {90_000 + number} && card_count_1h > {3 + number} && currency != "USD"',
            "then": "review",
            "code": "filling",
            "text": "One of many.",
        }
        for number in range(filling)
    ]
    return document


def requests(seed: int, payers: int = PAYERS) -> Request:
    """Payments of so many payers at the present time; keys never repeat."""
    rng, numbers = random.Random(seed), count()

    def make() -> bytes:
        number, payer = next(numbers), rng.randrange(payers)
        body = {
            "merchant_id": f"mer_{payer % 7}",
            "idempotency_key": f"{seed}-{number}",
            "payment_id": f"pay_{seed}_{number}",
            "amount_minor": rng.randrange(200, 20_000),
            "currency": rng.choice(("EUR", "USD", "GBP", "JPY")),
            "method": "card",
            "card": f"tok_visa_{payer}",
            "customer": {
                "id": f"cus_{payer}",
                "country": "DE",
                "ip": f"ip-{payer % 9_000}",
                "device_id": f"dev-{payer}",
            },
            "occurred_at": datetime.now(UTC).isoformat(),
        }
        return post("/v1/assessments", orjson.dumps(body), HEADERS)

    return make


@contextmanager
def api_process(
    database_url: str, redis_url: str, rules_file: Path, **settings: str
) -> Iterator[tuple[int, int, int]]:
    """A real `risk-engine api`; yields its pid, port and metrics port. `settings` are variables of its environment."""
    port, ops_port = free_port(), free_port()
    environment = (
        os.environ
        | {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "INTERNAL_TOKEN": TOKEN,
            "PORT": str(port),
            "OPS_PORT": str(ops_port),
            "DEADLINE_MS": "1000",
            "VELOCITY_TIMEOUT_MS": "900",
            "RULES_FILE": str(rules_file),
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "INFO"),
        }
        | settings
    )
    command = [str(Path(sys.executable).with_name("risk-engine")), "api"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait_until_ready(port, process)
        yield process.pid, port, ops_port
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + 90
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the api did not become ready")


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, all threads; Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(pid: int, port: int, connections: int, seed: int, payers: int = PAYERS) -> dict[str, float]:
    """One run: rate, latency, CPU of the api and of this generator."""
    api_before, own_before = cpu_s(pid), time.process_time()
    run: Run = await drive(
        "127.0.0.1", port, requests(seed, payers), connections=connections, seconds=SECONDS
    )
    api_s, own_s = cpu_s(pid) - api_before, time.process_time() - own_before
    answered = sum(run.statuses.values())
    return {
        "rps": run.rate,
        "p50_ms": run.percentile_ms(0.50),
        "p99_ms": run.percentile_ms(0.99),
        "per_core": answered / api_s,
        "api_cpu": api_s / run.seconds,
        "generator_cpu": own_s / run.seconds,
        "over_50_ms": sum(latency > 0.05 for latency in run.latencies_s) / answered,
        "failed": answered - run.statuses[200],
    }


async def no_ops_per_core(pid: int, port: int) -> float:
    """What the same process answers when it has nothing to do: the price of HTTP, framework and log line alone."""
    before = cpu_s(pid)
    request = b"GET /version HTTP/1.1\r\nHost: bench\r\n\r\n"
    run = await drive("127.0.0.1", port, lambda: request, connections=32, seconds=SECONDS)
    return round(sum(run.statuses.values()) / (cpu_s(pid) - before), 1)


async def measure_all(pid: int, port: int) -> dict[int, dict[str, float]]:
    """Medians over the rounds, after a warm-up; the loads take turns."""
    await drive("127.0.0.1", port, requests(0), connections=8, seconds=2)
    runs: dict[int, list[dict[str, float]]] = {connections: [] for connections in CONNECTIONS}
    for round_number in range(ROUNDS):
        for connections in CONNECTIONS:
            runs[connections].append(
                await measure(pid, port, connections, 1 + round_number * 100 + connections)
            )
    return {
        connections: {name: round(statistics.median(one[name] for one in found), 2) for name in found[0]}
        for connections, found in runs.items()
    }


def stages_us(ops_port: int) -> dict[str, float]:
    """Mean microseconds of each stage of a decision since the process began; `commit` is mostly waiting."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ops_port}/metrics", timeout=5) as response:
        lines = response.read().decode().splitlines()
    found: dict[str, dict[str, float]] = {"sum": {}, "count": {}}
    for line in lines:
        if match := re.match(r'risk_stage_seconds_(sum|count)\{stage="(\w+)"\} (\S+)', line):
            found[match[1]][match[2]] = float(match[3])
    return {
        stage: round(1e6 * found["sum"][stage] / count, 1) for stage, count in found["count"].items() if count
    }


def growth_of(database: FreshUrl, redis_url: str, scratch: Path) -> dict[str, dict[str, float]]:
    """The load of eight with fewer and with more rules, and with payers whose windows are full."""
    found = {}
    for name, size, payers in (
        *((f"{size} rules", size, PAYERS) for size in RULES_GROWTH),
        (f"{RULES} rules, full windows", RULES, FEW_PAYERS),
    ):
        rules_file = scratch / f"rules-{size}-{payers}.json"
        rules_file.write_bytes(orjson.dumps(rules_of(size)))
        with api_process(database(), redis_url, rules_file) as (pid, port, ops_port):
            # Twice: the first run warms up and fills the windows.
            for seed in (7_000 + size, 8_000 + size):
                run = uvloop.run(measure(pid, port, 8, seed + payers, payers))
            found[name] = run | {f"{stage}_us": mean for stage, mean in stages_us(ops_port).items()}
    return {name: {key: round(value, 2) for key, value in run.items()} for name, run in found.items()}


def degraded_so_far(ops_port: int) -> float:
    """Decisions that missed a part, of any kind, since the process began."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ops_port}/metrics", timeout=5) as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("risk_faults_total{"))


def decisions_of(port: int) -> dict[str, float]:
    """Share of each decision among the last hundred."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/assessments?limit=100", headers=HEADERS)
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
        found = json.load(response)["data"]
    return {
        name: sum(one["decision"] == name for one in found) / len(found)
        for name in ("allow", "review", "challenge", "block")
    }


def show(figures: dict[int, dict[str, float]]) -> None:
    table = Table(title=f"risk decisions, {RULES} rules, durable, fsync on", show_edge=False)
    names = ("rps", "p50_ms", "p99_ms", "per_core", "api_cpu", "over_50_ms", "failed")
    for name in ("connections", *names):
        table.add_column(name, justify="right")
    for connections, found in figures.items():
        table.add_row(str(connections), *(f"{found[name]:,.2f}" for name in names))
    Console().print(table)


def main() -> None:
    with test_servers(durable=True) as servers, TemporaryDirectory() as scratch:
        rules_file = Path(scratch) / "rules.json"
        rules_file.write_bytes(orjson.dumps(rules_of(RULES)))
        databases = DatabaseFactory(servers.admin_url)
        database = asyncio.run(databases.create("risk"))
        with Redis.from_url(servers.redis_url) as redis:
            redis.set(WARM_KEY, "1")
        with api_process(database.app_url, servers.redis_url, rules_file) as (pid, port, ops_port):
            figures = uvloop.run(measure_all(pid, port))
            no_ops = uvloop.run(no_ops_per_core(pid, port))
            mix, degraded, stages = decisions_of(port), degraded_so_far(ops_port), stages_us(ops_port)
        growth = growth_of(
            lambda: asyncio.run(databases.create("risk")).app_url,
            servers.redis_url,
            Path(scratch),
        )
    best = max(found["per_core"] for found in figures.values())
    show(figures)
    path = report.write(
        "risk",
        {
            "decisions_per_s_per_core": best,
            "p99_ms_at_1": figures[1]["p99_ms"],
            "goal_per_core": GOAL_PER_CORE,
            "no_ops_per_core": no_ops,
            "load_average": os.getloadavg()[0],
            "rules": RULES,
            "fsync": True,
            "mix": mix,
            "degraded": degraded,
            "stages_us": stages,
            "growth": growth,
            "by_connections": {str(connections): found for connections, found in figures.items()},
        },
    )
    Console().print(
        f"{best:,.0f} decisions per second of api CPU (goal {GOAL_PER_CORE:,}, no-ops {no_ops:,.0f}); mix {mix}; {path}"
    )
    if degraded:
        Console().print(f"{degraded:,.0f} decisions were degraded: these figures do not count")
    if degraded or any(found["failed"] for found in figures.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
