"""The invariants as SQL over the warehouse, and what was found of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.invariants import Check, Invariant

MOVED = text(
    """
    SELECT currency, sum(amount_minor)::bigint AS moved_minor FROM pipeline.fact_transfer
    WHERE kind IN ('posted', 'post') AND position > :after AND position <= :until  -- fact_transfer_position_idx
    GROUP BY currency
    """
)
# A window below the cursor: older windows were looked at when they were the newest.
GAPS = text(
    """
    SELECT c.stream, c.position, least(c.position, :window) - count(DISTINCT p.position) AS missing
    FROM pipeline.consumer_cursor c
    LEFT JOIN LATERAL (
        SELECT s.position FROM pipeline.stored_event s
        WHERE s.stream = c.stream AND s.position > c.position - :window AND s.position <= c.position
        UNION ALL
        SELECT q.position FROM pipeline.quarantine q
        WHERE q.stream = c.stream AND q.position > c.position - :window AND q.position <= c.position
    ) AS p ON true
    WHERE c.consumer = :consumer GROUP BY c.stream, c.position ORDER BY c.stream
    """
)
# Lines are numbered from 0: a journal of which a line is missing has a hole, or none of its lines.
TORN_JOURNALS = text(
    """
    SELECT journal_id FROM pipeline.fact_transfer WHERE position > :after      -- fact_transfer_position_idx
    GROUP BY journal_id HAVING count(*) <> max(line) + 1 ORDER BY journal_id LIMIT 10
    """
)
# Rows that differ between roll-up and detail; computed from the detail in SQL, not with the consumer's arithmetic.
ROLLUP_DIFFERENCES = text(
    """
    WITH detail AS (
        SELECT date_trunc('minute', created_at, 'UTC') AS bucket_at, currency, method,
               coalesce(channel, 'none') AS channel, coalesce(decision, 'none') AS decision,
               count(*)::bigint AS payment_count, count(approved_at)::bigint AS approved_count,
               (count(*) FILTER (WHERE status = 'declined'))::bigint AS declined_count,
               sum(amount_minor)::bigint AS amount_minor, sum(captured_minor)::bigint AS captured_minor,
               sum(refunded_minor)::bigint AS refunded_minor
        FROM pipeline.fact_payment WHERE created_at >= :after             -- fact_payment_latest_idx
        GROUP BY 1, 2, 3, 4, 5
    ), kept AS (
        SELECT bucket_at, currency, method, channel, decision, payment_count, approved_count, declined_count,
               amount_minor, captured_minor, refunded_minor
        FROM pipeline.rollup WHERE grain = 'minute' AND bucket_at >= :after AND payment_count > 0
    )
    SELECT count(*) FROM (
        (SELECT * FROM detail EXCEPT SELECT * FROM kept) UNION ALL (SELECT * FROM kept EXCEPT SELECT * FROM detail)
    ) AS differing
    """
)
GRAIN_DIFFERENCES = text(
    """
    WITH summed AS (
        SELECT CASE WHEN grain = 'minute' THEN 'minute' ELSE 'coarse' END AS side, grain,
               date_trunc('day', bucket_at, 'UTC') AS day, currency,
               sum(payment_count) AS payments, sum(amount_minor) AS amount, sum(captured_minor) AS captured,
               sum(refunded_minor) AS refunded
        FROM pipeline.rollup WHERE bucket_at >= :after GROUP BY 1, 2, 3, 4
    )
    SELECT count(*) FROM summed coarse
    LEFT JOIN summed fine ON fine.side = 'minute' AND (fine.day, fine.currency) = (coarse.day, coarse.currency)
    WHERE coarse.side = 'coarse' AND (coarse.payments, coarse.amount, coarse.captured, coarse.refunded)
        IS DISTINCT FROM (fine.payments, fine.amount, fine.captured, fine.refunded)
    """
)
OVER_REFUNDED = text(
    """
    SELECT payment_id FROM pipeline.fact_payment WHERE refunded_minor > captured_minor
    ORDER BY payment_id LIMIT 10                                              -- fact_payment_over_refunded_idx
    """
)
KEEP = text(
    """
    INSERT INTO pipeline.invariant_check (name, severity, checked_at, position, is_kept, figures)
    VALUES (:name, :severity, :at, :position, :is_kept, CAST(:figures AS json))
    """
)
FORGET = text("DELETE FROM pipeline.invariant_check WHERE checked_at < :before AND is_kept")
_SHOWN = "name, severity, checked_at, position, is_kept, figures"
LATEST = text(
    f"""
    SELECT {_SHOWN} FROM unnest(CAST(:names AS text[])) AS wanted (wanted)
    CROSS JOIN LATERAL (
        SELECT {_SHOWN} FROM pipeline.invariant_check
        WHERE name = wanted ORDER BY id DESC LIMIT 1                          -- invariant_check_latest_idx
    ) AS newest ORDER BY name
    """  # noqa: S608 - columns of our own
)
HISTORY = text(
    f"SELECT {_SHOWN} FROM pipeline.invariant_check WHERE name = :name ORDER BY id DESC LIMIT :limit"  # noqa: S608
)
LAST_KEPT = text(
    """
    SELECT position, figures FROM pipeline.invariant_check
    WHERE name = :name AND is_kept AND checked_at >= :since ORDER BY id DESC LIMIT 1
    """
)


async def moved(conn: AsyncConnection, after: int, until: int) -> dict[str, int]:
    """Minor units by currency that the transfers of positions (after, until] moved."""
    return {
        row.currency: row.moved_minor for row in await conn.execute(MOVED, {"after": after, "until": until})
    }


async def gaps(conn: AsyncConnection, consumer: str, window: int) -> dict[str, int]:
    """Per stream: positions of the last `window` below the cursor that are neither stored nor set aside."""
    result = await conn.execute(GAPS, {"consumer": consumer, "window": window})
    return {row.stream: int(row.missing) for row in result}


async def torn_journals(conn: AsyncConnection, after: int) -> list[str]:
    """Up to ten journals told after this position that lack a line."""
    return list((await conn.execute(TORN_JOURNALS, {"after": after})).scalars())


async def rollup_differences(conn: AsyncConnection, after: datetime) -> int:
    """Minute buckets since `after` (a full minute) that are not the sum of their payments."""
    return int(await conn.scalar(ROLLUP_DIFFERENCES, {"after": after}) or 0)


async def grain_differences(conn: AsyncConnection, after: datetime) -> int:
    """Days since `after` (a UTC midnight) and currencies whose coarser buckets are not the sum of the minutes."""
    return int(await conn.scalar(GRAIN_DIFFERENCES, {"after": after}) or 0)


async def over_refunded(conn: AsyncConnection) -> list[str]:
    """Up to ten payments of which more was given back than taken."""
    return list((await conn.execute(OVER_REFUNDED)).scalars())


async def keep(conn: AsyncConnection, checks: Iterable[Check], at: datetime) -> None:
    """Write down what was found."""
    for check in checks:
        await conn.execute(
            KEEP,
            {
                "name": check.invariant,
                "severity": check.invariant.severity,
                "at": at,
                "position": check.position,
                "is_kept": check.is_kept,
                "figures": orjson.dumps(dict(check.figures)).decode(),
            },
        )


async def forget(conn: AsyncConnection, before: datetime) -> None:
    """Drop what was well before then; what was broken stays."""
    await conn.execute(FORGET, {"before": before})


async def latest(conn: AsyncConnection) -> list[dict[str, Any]]:
    """The last look at each invariant."""
    return [dict(row) for row in (await conn.execute(LATEST, {"names": list(Invariant)})).mappings()]


async def history(conn: AsyncConnection, name: Invariant, limit: int) -> list[dict[str, Any]]:
    """Looks at one invariant, newest first."""
    return [dict(row) for row in (await conn.execute(HISTORY, {"name": name, "limit": limit})).mappings()]


async def last_kept(
    conn: AsyncConnection, name: Invariant, since: datetime
) -> tuple[int, Mapping[str, Any]] | None:
    """Position and figures of the last look since then that found all well."""
    row = (await conn.execute(LAST_KEPT, {"name": name, "since": since})).one_or_none()
    return (row.position, row.figures) if row else None
