"""`make bench-backtest`: stored decisions tried by 100 rules, and replayed: every one must come out identical.

Real decisions are made first (windows, model, rules, committed), then copied under new ids, so that rows are as long
and as varied as in life. Every tenth has a label. Rates are per second of CPU of this process, which does all of the
work but Postgres's; seconds on the clock stand beside. Ends with exit code 1 when a replayed decision differs.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import uvloop
from pydantic import SecretStr
from rich.console import Console
from sqlalchemy import text

from benchmarks import report
from benchmarks.risk import rules_of
from platform_cli.embedded.testing import DatabaseFactory, test_servers
from risk_engine.domain.facts import Subject, fingerprint
from risk_engine.domain.staff import Actor, Role
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.backtest_rule_set import ask_for_backtest, get_backtest, run_backtests
from risk_engine.operations.deps import Deps, open_deps
from risk_engine.operations.manage_rule_sets import save_rule_set
from risk_engine.operations.publish_rule_set import publish_first_rule_set
from risk_engine.operations.replay_decisions import replay_decisions
from risk_engine.settings import Settings

MADE = 4_000
COPIES = int(os.environ.get("BENCH_COPIES", "24"))  # of each: 100,000 stored decisions
SETS = (19, 100)  # rules: as many as are packaged, and a large set
GOAL_PER_CORE = 20_000
BY = Actor("bench", Role.LEAD)

# Ids keep their order in time; the copies are a minute apart, so no key is met twice.
COPY = text("""
    INSERT INTO risk.assessment (id, merchant_id, idempotency_key, fingerprint, payment_id, decision, score, rule_set,
                                 model, occurred_at, expires_at, is_late, request, facts, outcome)
    SELECT substr(id, 1, 22) || lpad(to_hex(copy), 4, '0') || substr(id, 27), merchant_id,
           idempotency_key || '-' || copy, fingerprint, payment_id || '-' || copy, decision, score, rule_set, model,
           occurred_at, expires_at, is_late, request, facts, outcome
    FROM risk.assessment, CAST(:copy AS integer) AS copy WHERE idempotency_key NOT LIKE '%-%'
    ON CONFLICT DO NOTHING
""")
LABEL = text("""
    INSERT INTO risk.label (id, payment_id, assessment_id, kind, source, event_at, labelled_at, actor)
    SELECT 'lbl_' || right(id, 26), payment_id, id, CASE WHEN score > 40 THEN 'fraud' ELSE 'legitimate' END,
           'upload', occurred_at, now(), 'bench'
    FROM risk.assessment WHERE hashtext(id) % 10 = 0 ON CONFLICT DO NOTHING
""")


def a_payment(rng: random.Random, number: int) -> Subject:
    payer = rng.randrange(600)
    return Subject(
        merchant_id=f"mer_{payer % 7}",
        key=f"key{number}",
        payment_id=f"pay_{number}",
        amount_minor=int(rng.lognormvariate(8, 1.3)) + 1,
        currency=rng.choice(("EUR", "USD", "GBP", "JPY")),
        method="card",
        occurred_at=datetime.now(UTC) - timedelta(seconds=rng.randrange(3_000)),
        card=fingerprint("card", f"tok_{payer}"),
        customer_id=f"cus_{payer}",
        country="DE",
        ip=fingerprint("ip", f"ip-{payer % 90}"),
        device=fingerprint("device", f"dev-{payer}"),
    )


async def measured(deps: Deps) -> dict[str, Any]:
    rng, now = random.Random(7), datetime.now(UTC)
    await deps.features.mark_warm()
    await publish_first_rule_set(deps)
    for start in range(0, MADE, 100):
        await asyncio.gather(*(assess_payment(deps, a_payment(rng, n)) for n in range(start, start + 100)))
    async with deps.engine.begin() as conn:
        for copy in range(1, COPIES + 1):
            await conn.execute(COPY, {"copy": copy})
        await conn.execute(LABEL)
    tried = [await tried_by(deps, rules, now) for rules in SETS]
    return {"payments": MADE * (COPIES + 1), "goal_per_s_per_core": GOAL_PER_CORE, "backtests": tried} | (
        await replayed_all(deps)
    )


async def tried_by(deps: Deps, rules: int, now: datetime) -> dict[str, Any]:
    """A backtest of a set of so many rules over all that is stored."""
    rule_set = (await save_rule_set(deps, rules_of(rules), BY))["hash"]
    asked = await ask_for_backtest(deps, rule_set, now - timedelta(hours=1), now + timedelta(hours=1), BY)
    began_s, cpu_s = time.perf_counter(), time.process_time()
    await run_backtests(deps)
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    found = (await get_backtest(deps, asked["id"]))["report"]
    return {
        "rules": rules,
        "payments": found["payments"],
        "labelled": found["labelled"],
        "took_s": round(took_s, 2),
        "per_s_per_core": round(found["payments"] / cpu_s),
    }


async def replayed_all(deps: Deps) -> dict[str, Any]:
    after, counted = None, {"replayed": 0, "identical": 0, "differing": 0}
    began_s, cpu_s = time.perf_counter(), time.process_time()
    while True:
        found = await replay_decisions(deps, after, 500)
        for name in counted:
            counted[name] += found[name]
        after = found["next_after"]
        if after is None:
            break
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    return counted | {
        "replay_s": round(took_s, 2),
        "replay_per_s_per_core": round(counted["replayed"] / cpu_s),
    }


async def run(database_url: str, redis_url: str) -> dict[str, Any]:
    settings = Settings(
        database_url=database_url,
        redis_url=redis_url,
        internal_token=SecretStr("bench"),
        deadline_ms=1000,
        velocity_timeout_ms=900,
    )
    async with open_deps(settings) as deps:
        return await measured(deps)


def main() -> None:
    """Make, copy, try, replay; print and keep the figures."""
    with test_servers() as servers:
        factory = DatabaseFactory(servers.admin_url)
        database = asyncio.run(factory.create("risk"))
        figures = uvloop.run(run(database.app_url, servers.redis_url))
    path = report.write("backtest", figures)
    console = Console()
    for tried in figures.pop("backtests"):
        console.print(" ".join(f"{name} {value:,}" for name, value in tried.items()))
    for name, value in figures.items():
        console.print(f"{name:28} {value:,}")
    console.print(str(path))
    sys.exit(1 if figures["differing"] or figures["identical"] != figures["replayed"] else 0)


if __name__ == "__main__":
    main()
