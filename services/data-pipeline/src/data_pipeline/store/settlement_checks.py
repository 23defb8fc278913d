"""Whether settlements are what the facts say, movements that no batch has, and how far both were looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.settlement_batch import ACCOUNTS, Section
from data_pipeline.domain.settlement_checks import LineSum
from data_pipeline.store.settlement_lines import LOOK_BACK, PAYMENTS

INSTRUCTED = text(
    """
    SELECT coalesce(sum(l.amount_minor - coalesce(p.amount_minor, 0)), 0)::bigint
    FROM pipeline.settlement_line l LEFT JOIN pipeline.fact_payout p ON p.payout_id = l.object_id
    WHERE l.batch_id = :id AND l.section = 'payouts' AND l.kind = 'payout'        -- settlement_line_payouts_idx
    """
)
# Lines that the facts do not have like this, and what the batch's lines come to.
UNLIKE_FACTS = text(
    """
    SELECT count(*) FROM pipeline.settlement_line l
    LEFT JOIN pipeline.fact_transfer t ON t.journal_id = l.journal_id AND t.line = l.line
    WHERE l.batch_id = :id AND (t.debit, t.credit, t.amount_minor, t.merchant_id, t.currency)
        IS DISTINCT FROM (l.debit, l.credit, l.amount_minor, CAST(:merchant_id AS text), CAST(:currency AS text))
    """
)
LINE_SUMS = text(
    """
    SELECT section, debit, credit, count(*) AS line_count, sum(amount_minor)::bigint AS amount_minor,
           sum(effect_minor)::bigint AS effect_minor
    FROM pipeline.settlement_line WHERE batch_id = :id GROUP BY section, debit, credit
    """
)
BOOKS = text(
    """
    SELECT account, credits_minor - debits_minor AS balance_minor FROM pipeline.rollup_account
    WHERE account = ANY(:accounts) AND currency = :currency AND period = 'all'    -- primary key
    """
)
UNCHECKED = text(
    """
    SELECT id FROM pipeline.settlement_batch
    WHERE state <> 'open' AND (checked_at IS NULL OR checked_at < :before)        -- settlement_batch_check_idx
    ORDER BY checked_at NULLS FIRST, id LIMIT :limit
    """
)
DIFFERING = text(
    """
    SELECT id FROM pipeline.settlement_batch WHERE differences IS NOT NULL        -- settlement_batch_differs_idx
    ORDER BY checked_at, id LIMIT :limit
    """
)
# What it says is not touched: that a closed batch was looked at is no part of it.
CHECKED = text(
    """
    UPDATE pipeline.settlement_batch SET checked_at = :at, differences = CAST(:differences AS json)
    WHERE id = :id AND state <> 'open'
    """
)
_TAKEABLE = "t.merchant_id IS NOT NULL AND t.merchant_id IN (split_part(t.debit, ':', 2), split_part(t.credit, ':', 2))"
# Movements of merchants' accounts that neither a line has nor the open batch takes by itself, and those told under
# another merchant's name, which none takes.
NOTE_LEFT_OUT = text(
    f"""
    INSERT INTO pipeline.left_out_movement AS kept (journal_id, line, merchant_id, currency, found_at)
    SELECT t.journal_id, t.line, t.merchant_id, t.currency, CAST(:at AS timestamptz)
    FROM pipeline.fact_transfer t
    LEFT JOIN pipeline.stored_event s ON s.stream = :stream AND s.position = t.position
    LEFT JOIN pipeline.settlement_batch k
        ON k.merchant_id = t.merchant_id AND k.currency = t.currency AND k.state = 'open'
    WHERE t.position > :after AND t.position <= :until AND t.kind IN ('posted', 'post') -- fact_transfer_position_idx
      AND (t.debit LIKE 'merchant:%' OR t.credit LIKE 'merchant:%')
      AND NOT EXISTS (
          SELECT FROM pipeline.settlement_line l WHERE l.journal_id = t.journal_id AND l.line = t.line
      )
      AND (
          NOT ({_TAKEABLE})
          OR t.occurred_at < k.opened_at - CAST(:look_back AS interval) AND NOT coalesce(
              s.received_at >= k.seen_from AND s.received_at - s.occurred_at > '00:00:30'::interval, false
          )
      )
    ON CONFLICT (journal_id, line) DO UPDATE SET merchant_id = excluded.merchant_id, currency = excluded.currency
    WHERE (kept.merchant_id, kept.currency) IS DISTINCT FROM (excluded.merchant_id, excluded.currency)
    """  # noqa: S608 - a condition of our own
)
_UNTAKEN = """
    FROM pipeline.left_out_movement m
    JOIN pipeline.fact_transfer t ON t.journal_id = m.journal_id AND t.line = m.line
    WHERE NOT EXISTS (
        SELECT FROM pipeline.settlement_line l WHERE l.journal_id = m.journal_id AND l.line = m.line
    )
"""
UNTAKEN = text(
    f"""
    SELECT {_TAKEABLE} AS is_takeable, count(*) AS movement_count {_UNTAKEN} GROUP BY 1
    """
)
NOBODYS = text(f"SELECT t.journal_id {_UNTAKEN} AND NOT ({_TAKEABLE}) ORDER BY t.journal_id LIMIT 10")
LEFT_OUT = text(
    f"""
    SELECT m.journal_id, m.line, m.found_at, t.occurred_at, t.merchant_id, t.currency, t.debit, t.credit,
           t.amount_minor, t.aggregate_id AS object_id, t.position, l.batch_id,
           k.id AS next_batch_id, {_TAKEABLE} AS is_takeable
    FROM pipeline.left_out_movement m
    JOIN pipeline.fact_transfer t ON t.journal_id = m.journal_id AND t.line = m.line
    LEFT JOIN pipeline.settlement_line l ON l.journal_id = m.journal_id AND l.line = m.line
    LEFT JOIN pipeline.settlement_batch k
        ON k.merchant_id = t.merchant_id AND k.currency = t.currency AND k.state = 'open'
    WHERE CAST(:found_at AS timestamptz) IS NULL OR (m.found_at, m.journal_id, m.line) < (:found_at, :journal, :line)
    ORDER BY m.found_at DESC, m.journal_id DESC, m.line DESC LIMIT :limit          -- left_out_movement_latest_idx
    """  # noqa: S608
)
WALK = text(
    """
    SELECT followed_position, walked_position, looked_at, began_at, ended_at FROM pipeline.settlement_walk
    """
)
WALK_ON = text(
    """
    UPDATE pipeline.settlement_walk SET followed_position = :followed_position, walked_position = :walked_position,
        looked_at = :looked_at, began_at = :began_at, ended_at = :ended_at
    """
)
SWAPPED_AT = text("SELECT max(finished_at) FROM pipeline.replay_run WHERE state = 'swapped'")
COVERAGE = text(
    """
    SELECT count(*) FILTER (WHERE checked_at IS NULL) AS unchecked_count,
           min(closed_at) FILTER (WHERE checked_at IS NULL) AS unchecked_since, min(checked_at) AS checked_since
    FROM (
        (SELECT checked_at, closed_at FROM pipeline.settlement_batch WHERE state <> 'open' AND checked_at IS NULL
         LIMIT 1000)                                                             -- settlement_batch_check_idx
        UNION ALL
        (SELECT checked_at, closed_at FROM pipeline.settlement_batch
         WHERE state <> 'open' AND checked_at IS NOT NULL ORDER BY checked_at NULLS FIRST, id LIMIT 1)
    ) AS ends
    """
)


LeftOutKey = tuple[datetime, str, int]
"""Found, journal, line: where a movement stands in the list of those left out."""


@dataclass(frozen=True, slots=True)
class Walk:
    """Positions up to which movements were looked for: of what is new, and of the round that looks at all of it."""

    followed_position: int
    walked_position: int
    looked_at: datetime | None
    began_at: datetime | None
    ended_at: datetime | None


async def unlike_facts(conn: AsyncConnection, batch: Mapping[str, Any]) -> int:
    """How many lines of the batch the facts do not have like this."""
    values = {name: batch[name] for name in ("id", "merchant_id", "currency")}
    return int(await conn.scalar(UNLIKE_FACTS, values) or 0)


async def line_sums(conn: AsyncConnection, batch_id: str) -> list[LineSum]:
    """What the batch's lines come to."""
    return [
        LineSum(
            Section(row.section), row.debit, row.credit, row.line_count, row.amount_minor, row.effect_minor
        )
        for row in await conn.execute(LINE_SUMS, {"id": batch_id})
    ]


async def instructed_unlike_told(conn: AsyncConnection, batch_id: str) -> int:
    """Minor units that the batch's lines took out for payouts beyond what the facts of these say."""
    return int(await conn.scalar(INSTRUCTED, {"id": batch_id}) or 0)


async def books(conn: AsyncConnection, merchant_id: str, currency: str) -> dict[str, int]:
    """The balances of a merchant's accounts as the roll-up of the ledger has them, minor units."""
    own = f"merchant:{merchant_id}:"
    values = {"accounts": [own + account for account in ACCOUNTS], "currency": currency}
    return {row.account.removeprefix(own): row.balance_minor for row in await conn.execute(BOOKS, values)}


async def unchecked(conn: AsyncConnection, before: datetime, limit: int) -> list[str]:
    """Closed batches that were not looked at since then: those never looked at first."""
    return list((await conn.execute(UNCHECKED, {"before": before, "limit": limit})).scalars())


async def differing(conn: AsyncConnection, limit: int) -> list[str]:
    """Batches that differed when they were last looked at."""
    return list((await conn.execute(DIFFERING, {"limit": limit})).scalars())


async def checked(conn: AsyncConnection, batch_id: str, differences: Mapping[str, int], at: datetime) -> None:
    """Write down what was found of a closed batch."""
    told = orjson.dumps(differences).decode() if differences else None
    await conn.execute(CHECKED, {"id": batch_id, "differences": told, "at": at})


async def note_left_out(conn: AsyncConnection, after: int, until: int, at: datetime) -> int:
    """Write down the movements told in (after, until] that no batch has, or will take; how many are new."""
    values = {"after": after, "until": until, "at": at, "look_back": LOOK_BACK, "stream": PAYMENTS}
    return (await conn.execute(NOTE_LEFT_OUT, values)).rowcount


async def untaken(conn: AsyncConnection) -> tuple[int, int]:
    """Of the movements that were found left out: how many the next batch takes, and how many no batch will."""
    counts = {row.is_takeable: int(row.movement_count) for row in await conn.execute(UNTAKEN)}
    return counts.get(True, 0), counts.get(False, 0)


async def nobodys(conn: AsyncConnection) -> list[str]:
    """Up to ten journals with a movement that no batch will take."""
    return list((await conn.execute(NOBODYS)).scalars())


async def left_out(conn: AsyncConnection, before: LeftOutKey | None, limit: int) -> list[dict[str, Any]]:
    """Movements that were found left out, the newest first, with the batch that has taken each by now."""
    found_at, journal, line = before or (None, None, None)
    values = {"found_at": found_at, "journal": journal, "line": line, "limit": limit}
    return [dict(row) for row in (await conn.execute(LEFT_OUT, values)).mappings()]


async def walk(conn: AsyncConnection) -> Walk:
    return Walk(**(await conn.execute(WALK)).mappings().one())


async def walk_on(conn: AsyncConnection, to: Walk) -> None:
    await conn.execute(
        WALK_ON,
        {
            "followed_position": to.followed_position,
            "walked_position": to.walked_position,
            "looked_at": to.looked_at,
            "began_at": to.began_at,
            "ended_at": to.ended_at,
        },
    )


async def swapped_at(conn: AsyncConnection) -> datetime | None:
    """When a replay last took the place of the facts."""
    at: datetime | None = await conn.scalar(SWAPPED_AT)
    return at


async def coverage(conn: AsyncConnection) -> dict[str, Any]:
    """How many closed batches were never looked at (at most 1,000) and since when the first of them waits; and since
    when every other one was looked at."""
    return dict((await conn.execute(COVERAGE)).mappings().one())
