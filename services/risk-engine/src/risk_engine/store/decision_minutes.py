"""Decisions counted by the minute: rolled up from assessments, read by every alert that looks at a window."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from risk_engine.domain.assessment import LIFETIME
from risk_engine.domain.decision_mix import Counts

AGAIN = timedelta(minutes=2)  # counted anew: a commit is seen a moment after the time that it carries
REACH = timedelta(hours=7)  # after an outage of the worker no more than this is caught up with
SLICE = timedelta(minutes=10)  # in one statement: 300,000 decisions at 500/s, which took 2.5 s

NEWEST = text("SELECT max(minute) FROM risk.decision_minute")

# By assessment_created_at_idx. `expires_at` is the deciding process's clock plus LIFETIME, `created_at` the database's.
ROLL_UP = text("""
    WITH seen AS (
        SELECT date_trunc('minute', created_at) AS minute, decision, is_late, outcome -> 'degraded' AS degraded,
               CAST(EXTRACT(epoch FROM expires_at - created_at - CAST(:lifetime AS interval)) * 1000 AS bigint)
                   AS ahead_ms
        FROM risk.assessment WHERE created_at >= :since AND created_at < :until
    ), mix AS (
        SELECT minute, jsonb_object_agg(decision, number) AS decisions
        FROM (SELECT minute, decision, count(*) AS number FROM seen GROUP BY 1, 2) AS one GROUP BY minute
    ), missing AS (
        SELECT minute, jsonb_object_agg(fault, number) AS faults
        FROM (SELECT minute, fault, count(*) AS number
              FROM seen CROSS JOIN LATERAL jsonb_array_elements_text(degraded) AS one (fault) GROUP BY 1, 2) AS one
        GROUP BY minute
    ), counted AS (
        SELECT minute, count(*) FILTER (WHERE is_late OR degraded <> '[]') AS bad,
               max(ahead_ms) AS ahead_ms, min(ahead_ms) AS behind_ms
        FROM seen GROUP BY minute
    )
    INSERT INTO risk.decision_minute (minute, decisions, bad, faults, ahead_ms, behind_ms)
    SELECT minute, decisions, bad, COALESCE(faults, '{}'), ahead_ms, behind_ms
    FROM counted JOIN mix USING (minute) LEFT JOIN missing USING (minute)
    ON CONFLICT (minute) DO UPDATE SET decisions = EXCLUDED.decisions, bad = EXCLUDED.bad, faults = EXCLUDED.faults,
                                       ahead_ms = EXCLUDED.ahead_ms, behind_ms = EXCLUDED.behind_ms
""")

# By the primary key; at most 360 rows.
READ = text("""
    SELECT decisions, bad, faults, ahead_ms, behind_ms
    FROM risk.decision_minute WHERE minute > :since AND minute <= :until
""").columns(decisions=JSONB, faults=JSONB)

PRUNE = text("DELETE FROM risk.decision_minute WHERE minute < :before")


async def slices(conn: AsyncConnection, now: datetime) -> list[tuple[datetime, datetime]]:
    """What is to be counted, as times (since, until) of whole minutes: what came since the last look, its last minutes
    anew. Each is for a `roll_up` in a transaction of its own."""
    newest: datetime | None = await conn.scalar(NEWEST)
    since = max(newest - AGAIN, now - REACH) if newest else now - REACH
    since = since.replace(second=0, microsecond=0)  # a whole minute, or its count would shrink
    number = (now - since) // SLICE + 1
    return [(since + SLICE * index, since + SLICE * (index + 1)) for index in range(number)]


async def roll_up(conn: AsyncConnection, since: datetime, until: datetime) -> None:
    """Count the decisions of [since, until) by the minute; those minutes are written anew."""
    await conn.execute(ROLL_UP, {"since": since, "until": until, "lifetime": LIFETIME})


async def counts(conn: AsyncConnection, since: datetime, until: datetime) -> Counts:
    """Decisions of the minutes that began in (since, until]."""
    decisions: dict[str, int] = {}
    faults: dict[str, int] = {}
    bad, ahead_ms, behind_ms = 0, 0, 0
    for row in await conn.execute(READ, {"since": since, "until": until}):
        for name, number in row.decisions.items():
            decisions[name] = decisions.get(name, 0) + number
        for name, number in row.faults.items():
            faults[name] = faults.get(name, 0) + number
        bad += row.bad
        ahead_ms, behind_ms = max(ahead_ms, row.ahead_ms), min(behind_ms, row.behind_ms)
    minutes = (until - since).total_seconds() / 60
    return Counts(minutes, decisions, bad, faults, ahead_ms, behind_ms)


async def prune(conn: AsyncConnection, before: datetime) -> int:
    """Forget minutes before a time; returns how many."""
    return (await conn.execute(PRUNE, {"before": before})).rowcount
