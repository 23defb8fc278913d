"""`make bench-payments`: full payments over HTTP through a whole copy of the platform, and what each process spends.

A payment is: key, risk decision, route, commit A, the channel's charge, commit B, answer. All eleven processes of
`make up` run, the warehouse's too, with Postgres and fsync on the same cores as the client: read the CPU per payment
first, which other work on the machine disturbs least, and the rate second. 1 % of the requests repeat a key. The risk
engine's deadlines and the key's rate limit are set wide: a decision cut short is cheaper than a whole one. Ends with
exit code 1 when a request failed or the audit (`payments_audit.py`) found a difference; the figures then
go to `payments-refused.json`.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter, deque
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.client import Request, Run, drive, post
from benchmarks.payments_audit import audit
from platform_cli.stack import supervision
from platform_cli.stack.bring_up import Running, bring_up
from platform_cli.stack.own_copy import leave_in_order_on_sigterm, own_copy
from platform_cli.stack.state import State

PREFIX = "platform-bench-"
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
CONNECTIONS = (1, 16, 64)
REPEATED = 0.01
REPEATED_AFTER = 2 * max(CONNECTIONS)  # requests: a key that is still at work would be answered 409
PAYERS = 20_000
FSYNCS = 50
GOAL_PER_S, GOAL_P99_MS = 500, 80
WIDE = {
    "RISK_DEADLINE_S": "1",
    "DEADLINE_MS": "1000",
    "VELOCITY_TIMEOUT_MS": "900",
    "RATE_LIMIT_WRITES_PER_S": "10000",
}


class Shop:
    """Makes requests and keeps what the answers said."""

    def __init__(self, api_key: str) -> None:
        self._authorization = f"Bearer {api_key}"
        self._rng, self._numbers = random.Random(7), count()
        self._answered: list[bytes] = []
        self._earlier: deque[bytes] = deque(maxlen=REPEATED_AFTER)

    def request(self) -> bytes:
        """A new payment; one in a hundred times the bytes of one that is answered by now."""
        if len(self._earlier) == REPEATED_AFTER and self._rng.random() < REPEATED:
            return self._earlier[0]
        number, payer = next(self._numbers), self._rng.randrange(PAYERS)
        body = {
            "amount_minor": self._rng.randrange(200, 4_000),
            "currency": "EUR",
            "method": {"type": "card", "card": {"token": f"tok_visa_{payer}"}},
            "reference": f"order-{number}",
            "customer": {"id": f"cus_{payer}", "country": "DE"},
        }
        headers = {"Authorization": self._authorization, "Idempotency-Key": f"bench-{number}"}
        made = post("/v1/payments", orjson.dumps(body), headers)
        self._earlier.append(made)
        return made

    def note(self, body: bytes) -> None:
        self._answered.append(body)

    def acknowledged(self) -> dict[str, int]:
        """Payment id -> captured minor units, of all answers."""
        return {told["id"]: told["captured_minor"] for told in map(orjson.loads, self._answered)}


def trees(state: State) -> dict[str, list[psutil.Process]]:
    """Each program of the copy with its children: Postgres' backends, Celery's pool."""
    found = {}
    for status in supervision.statuses(state):
        if status.pid:
            parent = psutil.Process(status.pid)
            found[status.name] = [parent, *parent.children(recursive=True)]
    return found


def cpu_s(state: State) -> dict[str, float]:
    """User and system seconds so far, of what lives and of the children that have ended."""
    spent = {}
    for name, processes in trees(state).items():
        times = [process.cpu_times() for process in processes if process.is_running()]
        reaped = times[0].children_user + times[0].children_system
        spent[name] = sum(one.user + one.system for one in times) + reaped
    return spent


def memory_mb(state: State) -> dict[str, dict[str, float]]:
    """RSS, and PSS (what is shared counts once)."""
    found = {}
    for name, processes in trees(state).items():
        full = [process.memory_full_info() for process in processes if process.is_running()]
        found[name] = {
            "rss_mb": round(sum(one.rss for one in full) / 2**20, 1),
            "pss_mb": round(sum(one.pss for one in full) / 2**20, 1),
        }
    return found


def fsync_ms(directory: Path) -> float:
    """Median of making 8 kB durable where Postgres' data is: a payment waits for at least three of them in turn."""
    took = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(FSYNCS):
            file.write(b"x" * 8192)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return round(1000 * statistics.median(took), 2)


def own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(copy: Running, make: Request, connections: int, shop: Shop | None = None) -> dict[str, Any]:
    """One run: rate, latency, and the CPU of every process per answer in microseconds."""
    before, own_before = cpu_s(copy.state), own_cpu_s()
    run: Run = await drive(
        "127.0.0.1",
        copy.surroundings.ports["gateway"],
        make,
        connections=connections,
        seconds=SECONDS,
        answered=shop.note if shop else None,
    )
    own_s = own_cpu_s() - own_before
    answers = sum(run.statuses.values())
    cpu_us = {
        name: 1e6 * (after - before.get(name, 0.0)) / answers for name, after in cpu_s(copy.state).items()
    }
    return {
        "per_s": run.rate,
        "p50_ms": run.percentile_ms(0.50),
        "p99_ms": run.percentile_ms(0.99),
        "failed": answers - run.statuses[201] - run.statuses[200],
        "cpu_us": cpu_us | {"client": 1e6 * own_s / answers},
    }


def median_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each figure, over the rounds."""
    figures = {
        name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0] if name != "cpu_us"
    }
    cpu = {name: round(statistics.median(run["cpu_us"][name] for run in runs)) for name in runs[0]["cpu_us"]}
    total = sum(us for name, us in cpu.items() if name != "client")
    return figures | {"cpu_us": cpu, "cpu_us_per_payment": total, "per_core": round(1e6 / total, 1)}


async def measure_all(copy: Running, shop: Shop) -> dict[str, dict[str, Any]]:
    """Medians over the rounds; the loads take turns, the no-op among them."""
    no_op = b"GET /version HTTP/1.1\r\nHost: bench\r\n\r\n"
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in (*map(str, CONNECTIONS), "no_op")}
    for _ in range(ROUNDS):
        for connections in CONNECTIONS:
            runs[str(connections)].append(await measure(copy, shop.request, connections, shop))
        runs["no_op"].append(await measure(copy, lambda: no_op, 16))
    return {name: median_of(found) for name, found in runs.items()}


def faults(ops_port: int) -> Counter[str]:
    """How often decisions of the risk engine missed a part so far, by the part."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ops_port}/metrics", timeout=5) as response:
        lines = response.read().decode().splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith("risk_faults_total{"))
    return Counter({name: int(float(number)) for name, _, number in found})


async def verified_ledger(copy: Running) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {copy.state.secret('admin_api_key')}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{copy.gateway_url}/v1/ledger/verification") as reply,
    ):
        reply.raise_for_status()
        found: dict[str, Any] = await reply.json()
    return found


async def benchmark(state: State) -> tuple[dict[str, Any], list[str]]:
    """All figures, and what speaks against them."""
    copy = await bring_up(state, lambda _: None, environ={}, extra=WIDE)
    if command := os.environ.get("BENCH_BESIDE"):  # a profiler, for example, told what to watch
        pids = {
            status.name.replace("-", "_").upper(): str(status.pid) for status in supervision.statuses(state)
        }
        await asyncio.create_subprocess_shell(command, env=os.environ | pids)
    ops_port = copy.surroundings.ports["risk-api-ops"]
    shop = Shop(copy.merchant.api_key)
    await measure(copy, shop.request, 8, shop)  # warm-up: what it meets is audited, but not measured
    faults_before = faults(ops_port)
    started = time.monotonic()
    loads = await measure_all(copy, shop)
    memory = memory_mb(state)
    differences, counts = await audit(
        copy.admin_url, copy.surroundings.channel_journal, shop.acknowledged(), await verified_ledger(copy)
    )
    if missed := faults(ops_port) - faults_before:
        differences.append(f"degraded risk decisions: {dict(missed)}")
    if not counts["acknowledged"]:
        differences.append("no payment was acknowledged")
    if failed := sum(load["failed"] for load in loads.values()):
        differences.append(f"{failed:,.0f} failed requests")
    best = max((loads[str(n)] for n in CONNECTIONS), key=lambda load: float(load["per_s"]))
    figures = {
        "payments_per_s": best["per_s"],
        "payments_per_s_per_core": round(best["per_s"] / (os.cpu_count() or 1), 1),
        "p50_ms_at_16": loads["16"]["p50_ms"],
        "p99_ms_at_16": loads["16"]["p99_ms"],
        "payment_to_no_op": round(best["per_s"] / loads["no_op"]["per_s"], 3),
        "cores": os.cpu_count(),
        "goal_payments_per_s": GOAL_PER_S,
        "goal_p99_ms_at_16": GOAL_P99_MS,
        "load_average": os.getloadavg()[0],
        "fsync": True,
        "fsync_ms": fsync_ms(state.root),
        "seconds": round(time.monotonic() - started, 1),
        "audit": counts | {"differences": differences},
        "memory_mb": memory,
        "by_connections": loads,
    }
    return figures, differences


def show(figures: dict[str, Any]) -> None:
    loads = figures["by_connections"]
    rates = Table(title="full payments, fsync on, everything on one machine", show_edge=False)
    for name in ("connections", "per s", "p50 ms", "p99 ms", "CPU us", "per core", "failed"):
        rates.add_column(name, justify="right")
    for name, load in loads.items():
        shown = [
            load[key] for key in ("per_s", "p50_ms", "p99_ms", "cpu_us_per_payment", "per_core", "failed")
        ]
        rates.add_row(name, *(f"{value:,.1f}" for value in shown))
    spent = Table(title="CPU per payment (us) and memory", show_edge=False)
    for name in ("process", *(f"at {n}" for n in CONNECTIONS), "RSS MB", "PSS MB"):
        spent.add_column(name, justify="right")
    for process in loads["16"]["cpu_us"]:
        memory = figures["memory_mb"].get(process, {})
        spent.add_row(
            process,
            *(f"{loads[str(n)]['cpu_us'][process]:,.0f}" for n in CONNECTIONS),
            *(f"{memory[key]:,.0f}" if memory else "" for key in ("rss_mb", "pss_mb")),
        )
    Console().print(rates, spent)


def main() -> None:
    leave_in_order_on_sigterm()
    with own_copy(PREFIX) as state:
        figures, differences = uvloop.run(benchmark(state))
    show(figures)
    path = report.write("payments-refused" if differences else "payments", figures)
    Console().print(
        f"{figures['payments_per_s']:,.0f}/s (goal {GOAL_PER_S}), p99 {figures['p99_ms_at_16']:,.1f} ms at 16"
        f" (goal {GOAL_P99_MS}); fsync {figures['fsync_ms']} ms; audit: {figures['audit']}; {path}"
    )
    if differences:
        Console().print(f"These figures do not count: {'; '.join(differences)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
