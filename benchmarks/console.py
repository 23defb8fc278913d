"""Time of the console's pages with a million payments stored. `python -m benchmarks.console`

Facts are written by SQL, in the shares that ordinary traffic has, with rare values among them: a rare one is what a
filter without its index would search the whole table for. Each page is asked for over HTTP, of the running application.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import uvicorn
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks import report
from data_pipeline.app import create_pipeline
from data_pipeline.domain.operators import NOBODY, Operator, Role, hash_session
from data_pipeline.domain.reports import REPORTS
from data_pipeline.operations.deps import Deps
from data_pipeline.settings import Settings
from data_pipeline.store import balances, operators
from platform_cli.embedded.testing import DatabaseFactory, test_servers
from platform_kit.db import create_engine

PAYMENTS: Final = 1_000_000
REPEATS: Final = 9
CHANNELS: Final = ("card_sim", "card_sim_2", "wallet_sim", "bank_sim")
GOAL_MS: Final = 200

SEED = """
INSERT INTO pipeline.fact_payment (payment_id, merchant_id, status, amount_minor, currency, authorised_minor,
    captured_minor, refunded_minor, method, channel, reference, decision, score, is_fallback, version, created_at,
    updated_at, approved_at, decided_at, position)
SELECT 'pay_' || lpad(n::text, 26, '0'), 'mer_' || lpad(
    (CASE WHEN n % 50000 = 0 THEN 999 ELSE n % 40 END)::text, 26, '0'),
    CASE WHEN n % 20000 = 0 THEN 'voided' WHEN n % 9 = 0 THEN 'declined' ELSE 'captured' END,
    100 + (n * 7919::bigint) % 50000, (ARRAY['EUR','EUR','EUR','USD','USD','JPY'])[1 + n % 6],
    100, 100, 0, CASE WHEN n % 8 = 0 THEN 'wallet' ELSE 'card' END,
    CASE WHEN n % 30000 = 0 THEN 'bank_sim' WHEN n % 8 = 0 THEN 'wallet_sim' ELSE 'card_sim' END, 'order-' || n,
    CASE WHEN n % 9 = 0 AND n % 4 = 0 THEN 'block' WHEN n % 31 = 0 THEN 'review' ELSE 'allow' END, n % 100, false, 2,
    now() - n * interval '1 second', now(), NULL, NULL, n
FROM generate_series(1, :count) AS n
"""
# Two lines a captured payment: what the channel owes, and our fee. The newest payment has the highest position.
TRANSFERS = """
INSERT INTO pipeline.fact_transfer (journal_id, line, event_id, position, occurred_at, aggregate_id, merchant_id, debit,
    credit, amount_minor, currency, kind)
SELECT 'je_' || substr(p.payment_id, 5), line, 'evt_' || substr(p.payment_id, 5), :count + 1 - p.position, p.created_at,
    p.payment_id, p.merchant_id,
    CASE line WHEN 0 THEN 'channel:' || p.channel || '\\:receivable'
              ELSE 'merchant:' || p.merchant_id || '\\:pending' END,
    CASE line WHEN 0 THEN 'merchant:' || p.merchant_id || '\\:pending' ELSE 'platform:fees' END,
    CASE line WHEN 0 THEN p.amount_minor ELSE 30 END, p.currency, 'posted'
FROM pipeline.fact_payment p, (VALUES (0), (1)) AS l (line) WHERE p.status = 'captured'
"""
ROLLUPS = """
INSERT INTO pipeline.rollup (grain, bucket_at, currency, method, channel, decision, payment_count, approved_count,
    declined_count, amount_minor, captured_minor, refunded_minor)
SELECT grain, date_trunc(grain, created_at, 'UTC'), currency, method, channel, decision, count(*),
    count(*) FILTER (WHERE status = 'captured'), count(*) FILTER (WHERE status = 'declined'), sum(amount_minor),
    sum(captured_minor), 0
FROM pipeline.fact_payment, (VALUES ('minute'), ('hour'), ('day')) AS g (grain) GROUP BY 1, 2, 3, 4, 5, 6
"""
LATENCIES = """
INSERT INTO pipeline.rollup_latency (bucket_at, bound_ms, payment_count)
SELECT date_trunc('minute', created_at, 'UTC'), 20 + 5 * (score % 20), count(*)
FROM pipeline.fact_payment GROUP BY 1, 2
"""
# A merchant's busy day, not settled yet: 200,000 movements of today. All others are settled day by day.
BUSY = """
INSERT INTO pipeline.fact_transfer (journal_id, line, event_id, position, occurred_at, aggregate_id, merchant_id, debit,
    credit, amount_minor, currency, kind)
SELECT 'je_b' || lpad(n::text, 25, '0'), line, 'evt_b' || n, :count + n, now() - n * interval '0.2 seconds',
    'pay_b' || lpad(n::text, 25, '0'), 'mer_busy',
    CASE line WHEN 0 THEN 'channel:card_sim\\:receivable' ELSE 'merchant:mer_busy\\:pending' END,
    CASE line WHEN 0 THEN 'merchant:mer_busy\\:pending' ELSE 'platform:fees' END,
    CASE line WHEN 0 THEN 1000 ELSE 30 END, 'EUR', 'posted'
FROM generate_series(1, 100000) AS n, (VALUES (0), (1)) AS l (line)
"""
BUSY_BATCH = """
INSERT INTO pipeline.settlement_batch (id, merchant_id, currency, number, state, opened_at, closes_at, opening_minor,
    closing_minor, accounts, position, refreshed_at, line_count)
VALUES ('stl_' || repeat('b', 26), 'mer_busy', 'EUR', 1, 'open', to_timestamp(0), now() + interval '1 day', 0, 0, '{}',
    1, now(), 200000)
"""
# Of settlements that are done there are 200,000 more, without lines.
CLOSED_BATCHES = """
INSERT INTO pipeline.settlement_batch (id, merchant_id, currency, number, state, opened_at, closes_at, opening_minor,
    captures_minor, fees_minor, closing_minor, accounts, line_count, position, refreshed_at, closed_at, closed_by)
SELECT 'stl_' || lpad(row_number() OVER (ORDER BY day, merchant_id, currency)::text, 26, '0'), merchant_id, currency,
    row_number() OVER (PARTITION BY merchant_id, currency ORDER BY day), 'reconciled', day, day + interval '1 day',
    coalesce(sum(net) OVER before, 0), gross, net - gross, coalesce(sum(net) OVER before, 0) + net, '{}', lines, 1,
    now(), day + interval '1 day', 'schedule'
FROM (
    SELECT merchant_id, currency, date_trunc('day', occurred_at, 'UTC') AS day, count(*) AS lines,
        sum(CASE line WHEN 0 THEN amount_minor ELSE -amount_minor END)::bigint AS net,
        sum(amount_minor) FILTER (WHERE line = 0)::bigint AS gross
    FROM pipeline.fact_transfer
    WHERE merchant_id <> 'mer_busy' GROUP BY 1, 2, 3
) AS settled WINDOW before AS (
    PARTITION BY merchant_id, currency ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
)
"""
OPEN_BATCHES = """
INSERT INTO pipeline.settlement_batch (id, merchant_id, currency, number, state, opened_at, closes_at, opening_minor,
    closing_minor, accounts, position, refreshed_at, line_count, seen_from)
SELECT DISTINCT ON (merchant_id, currency) 'stl_' || translate(right(id, 26), '0', 'o'), merchant_id, currency,
    number + 1, 'open', closes_at, '2999-01-01', closing_minor, closing_minor, '{}', 1, now(), 1, now()
FROM pipeline.settlement_batch ORDER BY merchant_id, currency, number DESC
"""
SETTLED_LINES = """
INSERT INTO pipeline.settlement_line (journal_id, line, batch_id, section, kind, occurred_at, object_id, reference,
    debit, credit, amount_minor, effect_minor, is_late, position)
SELECT t.journal_id, t.line, k.id, CASE t.line WHEN 0 THEN 'captures' ELSE 'fees' END,
    CASE t.line WHEN 0 THEN 'capture' ELSE 'fee' END, t.occurred_at, t.aggregate_id, p.reference, t.debit, t.credit,
    t.amount_minor, CASE t.line WHEN 0 THEN t.amount_minor ELSE -t.amount_minor END, false, t.position
FROM pipeline.fact_transfer t JOIN pipeline.fact_payment p ON p.payment_id = t.aggregate_id
JOIN pipeline.settlement_batch k ON (k.merchant_id, k.currency, k.opened_at)
    = (t.merchant_id, t.currency, date_trunc('day', t.occurred_at, 'UTC')) AND k.state <> 'open'
"""
OLD_BATCHES = """
INSERT INTO pipeline.settlement_batch (id, merchant_id, currency, number, state, opened_at, closes_at, opening_minor,
    closing_minor, accounts, line_count, position, refreshed_at, closed_at, closed_by, checked_at)
SELECT 'stl_z' || lpad(n::text, 25, '0'), 'mer_old' || n % 200, 'EUR', n,
    CASE WHEN n % 50000 = 0 THEN 'paid' ELSE 'reconciled' END, at, at + interval '1 day', 0, 0, '{}', 9, 1, at, at,
    'schedule', now()
FROM generate_series(1, 200000) AS n,
    LATERAL (SELECT now() - (20 + n / 200) * interval '1 day') AS a (at)
"""
# Three years of runs at four channels, with a batch of payouts each, and 60,000 breaks of which 3,000 are open.
RUNS = """
INSERT INTO pipeline.reconciliation_run (id, channel, day, state, file_id, position, file_made_at, ledger_count,
    file_count, matched_count, break_count, excluded_count, totals)
SELECT 'run_' || n || channel, channel, current_date - n, 'broken', 'sf_' || n, n, now(), 9000, 9000, 8990, 10, 0,
    '[{"type": "charge", "currency": "EUR", "ledger_minor": 900, "file_minor": 900}]'
FROM generate_series(0, 1100) AS n, unnest(CAST(:channels AS text[])) AS c (channel)
"""
CHANNEL_PAYOUTS = """
INSERT INTO pipeline.channel_payout (batch, channel, settled_on, currency, charge_minor, refund_minor, fee_minor,
    net_minor, state, entry_count, checked_at)
SELECT channel || '-' || n || '-' || currency, channel, current_date - n, currency, 1000, 100, 10, 890,
    CASE WHEN n < 2 THEN 'expected' ELSE 'missing' END, 0, now()
FROM generate_series(0, 1100) AS n, unnest(CAST(:channels AS text[])) AS c (channel),
    unnest(ARRAY['EUR', 'USD', 'JPY']) AS m (currency)
"""
BREAKS = """
INSERT INTO pipeline.reconciliation_break (id, day, channel, break_class, settled_type, journal_id, payment_id,
    channel_reference, ledger_amount_minor, ledger_currency, ledger_at, file_amount_minor, file_currency, file_line,
    file_text, run_id, opened_at, last_seen_at, closed_at, state, owner)
SELECT 'brk_' || translate(lpad(n::text, 26, '0'), '0189', 'abcd'), (now() - n * interval '25 minutes')::date,
    (CAST(:channels AS text[]))[1 + n % 4], (ARRAY['amount_differs', 'missing_in_ledger'])[1 + n % 2], 'charge', 'je_1',
    'pay_' || lpad(n::text, 26, '0'), 'ch_' || n, 1000 + n % 7, 'EUR', now(), 1000, 'EUR', n, 'the line', 'run_1',
    now() - n * interval '25 minutes', now(), CASE WHEN n > 3000 THEN now() END,
    CASE WHEN n > 3000 THEN 'resolved' ELSE 'open' END, CASE WHEN n % 3 = 0 THEN 'grace' END
FROM generate_series(1, 60000) AS n
"""
# Two weeks of looks at what must hold, one a minute.
LOOKS = """
INSERT INTO pipeline.invariant_check (name, severity, checked_at, position, is_kept, figures)
SELECT 'invariant_' || kind, 'critical', now() - n * interval '1 minute', n, true, '{}'
FROM generate_series(20160, 1, -1) AS n, generate_series(1, 8) AS kind
"""
INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'pipeline' AND indexname NOT LIKE '%_pkey'
    AND tablename IN ('fact_payment', 'fact_transfer', 'settlement_line')
"""
HOT: Final = "/console/ledger/accounts/channel:card_sim:receivable:EUR"
PAGES: Final = {
    "overview": "/console",
    "ledger": "/console/ledger",
    "ledger, as of a moment": "/console/ledger?as_of={moment}",
    "accounts": "/console/ledger/accounts",
    "accounts, a part of the name": "/console/ledger/accounts?q=00000999",
    "account, busiest": HOT,
    "account, as of a moment": HOT + "?as_of={moment}",
    "account, deep page": HOT + "?before={key}",
    "transfer (the gateway away)": f"/console/ledger/transfers/je_{500_003:026d}",
    "system (services away)": "/console/system",
    "payments": "/console/payments",
    "payments, common status": "/console/payments?status=captured",
    "payments, rare status": "/console/payments?status=voided",
    "payments, rare channel and method": "/console/payments?channel=bank_sim&method=card",
    "payments, two that never meet": "/console/payments?status=declined&currency=JPY&decision=review&method=wallet",
    "payments, rare merchant": f"/console/payments?merchant=mer_{999:026d}",
    "payments, an amount": "/console/payments?min=123.45&max=123.45",
    "payments, an old day": "/console/payments?to=2026-11-17",
    "breaks": "/console/reconciliation/breaks",
    "quarantine": "/console/quarantine",
    "report, a week": "/console/reports?report=volume",
    "report, a day by hour": "/console/reports?report=approval&grain=hour&from=2026-11-26&to=2026-11-27",
    "archive": "/console/archive",
    "payments, CSV": "/console/payments.csv?currency=USD",
    "payment": f"/console/payments/pay_{500_000:026d}",
    "reconciliation": "/console/reconciliation",
    "reconciliation, two years ago": "/console/reconciliation?day=2024-11-23",
    "payouts": "/console/reconciliation/payouts",
    "payouts, a quarter": "/console/reconciliation/payouts?days=92",
    "breaks, all": "/console/reconciliation/breaks?which=all",
    "breaks, deep page of all": "/console/reconciliation/breaks?which=all&after={key_of_break}",
    "breaks, closed ones of nobody": "/console/reconciliation/breaks?which=closed&owner=nobody&currency=USD",
    "breaks, open ones of a day": "/console/reconciliation/breaks?day={day}&class=amount_differs",
    "break": "/console/reconciliation/breaks/brk_" + f"{2_345:026d}".translate(str.maketrans("0189", "abcd")),
    "settlements": "/console/settlements",
    "settlements, open ones": "/console/settlements?state=open",
    "settlements, those on their way": "/console/settlements?state=paid",
    "settlements, a rare state": "/console/settlements?state=generated",
    "settlements, a merchant": f"/console/settlements?merchant=mer_{7:026d}",
    "settlements, a currency without any": "/console/settlements?currency=CHF",
    "settlements, left out": "/console/settlements/left-out",
    "settlement, closed": f"/console/settlements/stl_{200:026d}",
    "settlement, open, 200,000 movements": f"/console/settlements/stl_{'b' * 26}",
    "settlement, open, deep page": f"/console/settlements/stl_{'b' * 26}?after={{line_key}}",
    **{f"report, {name}": f"/console/reports?report={name}" for name in REPORTS},
    "quality": "/console/quality",
    "corrections of closed days": "/console/quality/corrections",
}


async def main() -> int:
    console = Console()
    with test_servers(durable=False) as servers:
        database = await DatabaseFactory(servers.admin_url).create("pipeline")
        settings = Settings(database_url=database.app_url, console_cookies_secure=False)
        owner = create_engine(Settings(database_url=database.owner_url))
        await _fill(owner)
        await owner.dispose()
        runs = await _measure(settings)
    path = report.write("console", {"payments": PAYMENTS, "pages": runs})
    table = Table("page", "status", "median ms", "slowest ms", "kB")
    for run in runs:
        table.add_row(run["page"], *(str(run[name]) for name in ("status", "median_ms", "max_ms", "kb")))
    console.print(table)
    console.print(f"figures in {path}; the goal is {GOAL_MS} ms")
    return 0 if all(run["status"] == 200 and run["median_ms"] <= GOAL_MS for run in runs) else 1


async def _fill(owner: AsyncEngine) -> None:
    """The rows first and their indexes after them, which takes much less time."""
    async with owner.begin() as conn:
        await conn.execute(text("SET LOCAL statement_timeout = 0"))
        indexes = list(await conn.execute(text(INDEXES)))
        for name, _ in indexes:
            await conn.execute(text(f"DROP INDEX pipeline.{name}"))
        for statement in (SEED, TRANSFERS, BUSY):
            await conn.execute(text(statement), {"count": PAYMENTS})
        for statement in (ROLLUPS, LATENCIES, LOOKS):
            await conn.execute(text(statement))
        await conn.execute(text("ALTER TABLE pipeline.settlement_line DISABLE TRIGGER keep_closed_lines"))
        for statement in (CLOSED_BATCHES, OPEN_BATCHES, SETTLED_LINES, BUSY_BATCH, OLD_BATCHES):
            await conn.execute(text(statement))
        await conn.execute(text("ALTER TABLE pipeline.settlement_line ENABLE TRIGGER keep_closed_lines"))
        for statement in (RUNS, CHANNEL_PAYOUTS, BREAKS):
            await conn.execute(text(statement), {"channels": list(CHANNELS)})
        await conn.execute(balances.REBUILD)
        for _, definition in indexes:
            await conn.execute(text(definition))
    async with owner.execution_options(isolation_level="AUTOCOMMIT").connect() as conn:
        await conn.execute(text("SET statement_timeout = 0"))
        await conn.execute(text("VACUUM ANALYZE"))


async def _measure(settings: Settings) -> list[dict[str, Any]]:
    app = create_pipeline(settings)
    listening = socket.socket()
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on"))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.05)
    cookie = {"Cookie": f"console={await _log_in(app.state.deps)}"}
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        async with aiohttp.ClientSession(headers=cookie, cookie_jar=aiohttp.DummyCookieJar()) as session:
            earlier = datetime.now(UTC).replace(minute=48) - timedelta(days=5)
            day, hours_ago = datetime.now(UTC) - timedelta(days=3), datetime.now(UTC) - timedelta(hours=2)
            filled = {
                "moment": f"{earlier:%Y-%m-%dT%H:%M}",
                "key": f"{earlier:%Y%m%dT%H%M%S.%f}~0~0",
                "day": f"{day:%Y-%m-%d}",
                "key_of_break": f"{earlier - timedelta(days=400):%Y%m%dT%H%M%S.%f}~brk_{'a' * 26}",
                "line_key": quote(f"{hours_ago.isoformat()},,0"),
            }
            return [await _time(session, base, name, path.format(**filled)) for name, path in PAGES.items()]
    finally:
        server.should_exit = True
        await running


async def _time(session: aiohttp.ClientSession, base: str, name: str, path: str) -> dict[str, Any]:
    taken: list[float] = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        async with session.get(base + path) as answer:
            content, status = await answer.read(), answer.status
        taken.append(round((time.perf_counter() - began) * 1000, 1))
    return {
        "page": name,
        "status": status,
        "median_ms": statistics.median(taken),
        "max_ms": max(taken),
        "kb": round(len(content) / 1000, 1),
    }


async def _log_in(deps: Deps) -> str:
    session_id = secrets.token_urlsafe(32)
    async with deps.engine.begin() as conn:
        await operators.add(conn, Operator("bench", Role.VIEWER), NOBODY)
        await operators.open_session(conn, hash_session(session_id), "bench", deps.clock.now())
    return session_id


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
