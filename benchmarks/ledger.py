"""`make bench-ledger`: ledger writes over HTTP against the same process's no-op, and against a transaction each.

One run, one machine, one database: the variants take turns for several rounds, so that what else the machine does
hits all of them; the figures are medians. Afterwards the ledger is verified: no transfer lost, none doubled.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks.client import Request, Run, drive, post
from payment_gateway.operations.manage_merchants import hash_key
from payment_gateway.store.tables import SCHEMA
from platform_cli.embedded.running import free_port
from platform_cli.embedded.testing import DatabaseFactory, TestDatabase, test_servers

CONNECTIONS = 64
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
ACCOUNTS = 1000
REPEATED = 100  # one request in so many repeats the key before it (1 %)
POOL = 16  # connections of the per-request control; the committer uses one
KEY = "sk_test_benchmark"


@dataclass(frozen=True)
class Variant:
    name: str
    server: str
    path: str
    accounts: int


VARIANTS = (
    Variant("noop", "committer", "/bench/noop", 2),
    Variant("front_door", "committer", "/bench/front-door", 2),
    Variant("committer", "committer", "/v1/ledger/transfers", ACCOUNTS),
    Variant("hot", "committer", "/v1/ledger/transfers", 2),
    Variant("per_request_tx", "per-request", "/v1/ledger/transfers", ACCOUNTS),
    Variant("per_request_tx_hot", "per-request", "/v1/ledger/transfers", 2),
)

_numbers = count()


def requests(variant: Variant) -> Request:
    """Transfers between accounts in turn, each with a key of its own, 1 % of them repeated."""
    headers = {"Authorization": f"Bearer {KEY}"}
    last: list[bytes] = []

    def make() -> bytes:
        number = next(_numbers)
        if number % REPEATED == 0 and last:
            return last[0]
        debit = number % variant.accounts
        credit = (debit + 1 + number // variant.accounts % (variant.accounts - 1)) % variant.accounts
        body = (
            f'{{"debit_account":"a{debit}","credit_account":"a{credit}","amount_minor":{1 + number % 1000},'
            f'"currency":"EUR"}}'
        )
        made = post(variant.path, body.encode(), headers | {"Idempotency-Key": f"bench-{number}"})
        last[:] = [made]
        return made

    return make


async def prepare(database: TestDatabase) -> None:
    """A merchant with a known key and a thousand open accounts."""
    connection = await asyncpg.connect(database.owner_url)
    await connection.execute(f"SET search_path = {SCHEMA}")
    await connection.execute("INSERT INTO merchant (id, name, country) VALUES ('mer_bench', 'Bench', 'DE')")
    await connection.execute(
        "INSERT INTO api_key (id, merchant_id, key_hash) VALUES ('key_bench', 'mer_bench', $1)", hash_key(KEY)
    )
    await connection.execute(
        "INSERT INTO account (owner, kind, currency) SELECT 'ledger:mer_bench', 'a' || n, 'EUR'"
        " FROM generate_series(0, $1::int - 1) n",
        ACCOUNTS,
    )
    await connection.close()


@contextmanager
def server(mode: str, database: TestDatabase) -> Iterator[int]:
    """The benchmark server in a process of its own; yields its port."""
    port = free_port()
    environment = os.environ | {
        "DATABASE_URL": database.app_url,
        "DATABASE_POOL_SIZE": str(POOL),
        "PORT": str(port),
        "LOG_LEVEL": os.environ.get("BENCH_LOG_LEVEL", "INFO"),
        "APP_VERSION": "bench",
        "RATE_LIMIT_WRITES_PER_S": "1000000",
        "OVERLOAD_LAG_S": "0",  # a full load is what is measured: nothing of it may be shed
    }
    log = Path(f"{report.DIRECTORY}/ledger-{mode}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.ledger_server", mode]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            wait_for(f"http://127.0.0.1:{port}/health/ready", process)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=45)


def wait_for(url: str, process: subprocess.Popen[Any], within_s: float = 30) -> None:
    give_up_at = time.monotonic() + within_s
    while time.monotonic() < give_up_at and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"the benchmark server did not start; see {report.DIRECTORY}")


async def measure(ports: dict[str, int]) -> dict[str, list[Run]]:
    """Every variant in turn, several rounds; the first, short round only warms up."""
    runs: dict[str, list[Run]] = {variant.name: [] for variant in VARIANTS}
    for round_number in range(ROUNDS + 1):
        for variant in VARIANTS:
            seconds = SECONDS if round_number else 1.0
            run = await drive(
                "127.0.0.1",
                ports[variant.server],
                requests(variant),
                connections=CONNECTIONS,
                seconds=seconds,
            )
            if set(run.statuses) != {201}:
                raise SystemExit(f"{variant.name}: unexpected answers {dict(run.statuses)}")
            if round_number:
                runs[variant.name].append(run)
    return runs


async def verify(database: TestDatabase) -> dict[str, int]:
    """Transfers against keys, and counters against transfers: nothing lost, nothing doubled."""
    connection = await asyncpg.connect(database.owner_url)
    found = await connection.fetchrow("""
        SELECT (SELECT count(*) FROM payments.transfer) AS transfers,
               (SELECT count(*) FROM payments.idempotency_key) AS keys,
               (SELECT sum(debits_posted) - sum(credits_posted) FROM payments.account) AS imbalance,
               (SELECT sum(debits_posted) FROM payments.account)
                 - (SELECT sum(amount_minor) FROM payments.transfer) AS unexplained""")
    await connection.close()
    assert found is not None
    return {name: int(value) for name, value in found.items()}


def main() -> None:
    with test_servers(durable=True) as servers, uvloop_runner() as runner:
        database = runner.run(DatabaseFactory(servers.admin_url).create("payments"))
        runner.run(prepare(database))
        with server("committer", database) as product, server("per-request", database) as control:
            runs = runner.run(measure({"committer": product, "per-request": control}))
        proof = runner.run(verify(database))
    show(runs, proof)


def uvloop_runner() -> asyncio.Runner:
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def show(runs: dict[str, list[Run]], proof: dict[str, int]) -> None:
    rates = {name: statistics.median(run.rate for run in of_one) for name, of_one in runs.items()}
    ratios = {
        "of_noop": rates["committer"] / rates["noop"],
        "of_per_request_tx": rates["committer"] / rates["per_request_tx"],
        "hot_of_cold": rates["hot"] / rates["committer"],
    }
    table = Table("variant", "requests/s", "p50 ms", "p99 ms", title="ledger writes over HTTP (medians)")
    for name, of_one in runs.items():
        middle = sorted(of_one, key=lambda run: run.rate)[len(of_one) // 2]
        table.add_row(
            name,
            f"{rates[name]:,.0f}",
            f"{middle.percentile_ms(0.5):.1f}",
            f"{middle.percentile_ms(0.99):.1f}",
        )
    console = Console()
    console.print(table)
    for name, target in (("of_noop", 0.6), ("of_per_request_tx", 2.5), ("hot_of_cold", 0.8)):
        verdict = "met" if ratios[name] >= target else f"MISSED by {target - ratios[name]:.2f}"
        console.print(f"  {name:<18} {ratios[name]:.2f}   target >= {target}: {verdict}")
    console.print(f"  proof: {proof}")
    figures = {
        "noop_rps": rates["noop"],
        "front_door_rps": rates["front_door"],
        "committer_rps": rates["committer"],
        "per_request_tx_rps": rates["per_request_tx"],
        "per_request_tx_hot_rps": rates["per_request_tx_hot"],
        "hot_rps": rates["hot"],
        "cold_rps": rates["committer"],
        "connections": CONNECTIONS,
        "ratios": ratios,
        "proof": proof,
    }
    console.print(f"  written to {report.write('ledger', figures)}")
    if proof["transfers"] != proof["keys"] or proof["imbalance"] or proof["unexplained"]:
        raise SystemExit("the ledger does not add up")


if __name__ == "__main__":
    main()
