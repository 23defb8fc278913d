"""The ledger's movements that a batch of a merchant's settlement takes, and the lines that become of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.settlement_batch import Movement, Ruling, section_of

PAYMENTS: Final = "events:payments"
"""The stream of the gateway, as `clients.event_sources` calls it: what the ledger tells is on no other."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LineKey = tuple[datetime, str, int]
"""Occurred, journal, line: where a line stands in its batch."""
NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
LOOK_BACK: Final = timedelta(seconds=60)
"""What happened just before a batch was closed may have come just after: the next one looks back so far by itself. It
is more than the 30 s from which on stored_event_late_idx knows of it: nothing falls between the two."""
STATEMENT_MAX: Final = timedelta(minutes=5)
"""A merchant's whole day is one statement: 200,000 movements took longer than the ten seconds that others have."""


TAKE_TIME = text("SELECT set_config('statement_timeout', :most, true)")
# The movements that the open batch takes: of its period, and those of earlier periods that came when these were closed
# or were found to be in no batch.
_SINCE_OPENED = """
    SELECT t.journal_id, t.line, t.debit, t.credit, t.amount_minor, t.occurred_at, t.position, t.aggregate_id,
           t.occurred_at < :opened_at AS is_late
    FROM pipeline.fact_transfer t
    WHERE t.merchant_id = :merchant_id AND t.currency = :currency AND t.kind IN ('posted', 'post')
      AND t.occurred_at >= :looks_back_to AND t.occurred_at < :closes_at          -- fact_transfer_merchant_idx
"""
_OF_PERIOD = f"""{_SINCE_OPENED}
      AND NOT EXISTS (
          SELECT FROM pipeline.settlement_line l WHERE l.journal_id = t.journal_id AND l.line = t.line
      )
"""
_LATE = """
    SELECT t.journal_id, t.line, t.debit, t.credit, t.amount_minor, t.occurred_at, t.position, t.aggregate_id,
           true AS is_late
    FROM pipeline.stored_event s
    JOIN pipeline.fact_transfer t ON t.merchant_id = s.merchant_id AND t.currency = :currency
        AND t.occurred_at = s.occurred_at AND t.position = s.position             -- fact_transfer_merchant_idx
    WHERE s.stream = :stream AND s.merchant_id = :merchant_id AND s.received_at >= :seen_from
      AND s.received_at - s.occurred_at > '00:00:30'::interval                    -- stored_event_late_idx
      AND s.occurred_at < :looks_back_to AND t.kind IN ('posted', 'post')
      AND NOT EXISTS (
          SELECT FROM pipeline.settlement_line l WHERE l.journal_id = t.journal_id AND l.line = t.line
      )
    UNION
    SELECT t.journal_id, t.line, t.debit, t.credit, t.amount_minor, t.occurred_at, t.position, t.aggregate_id, true
    FROM pipeline.left_out_movement m
    JOIN pipeline.fact_transfer t ON t.journal_id = m.journal_id AND t.line = m.line
    WHERE m.merchant_id = :merchant_id AND m.currency = :currency              -- left_out_movement_merchant_idx
      AND t.merchant_id = :merchant_id AND t.currency = :currency AND t.kind IN ('posted', 'post')
      AND t.occurred_at < :looks_back_to
      AND NOT EXISTS (
          SELECT FROM pipeline.settlement_line l WHERE l.journal_id = t.journal_id AND l.line = t.line
      )
"""
_TAKEN = f"{_OF_PERIOD} UNION ALL ({_LATE})"
MOVEMENTS = text(
    f"""
    SELECT debit, credit, is_late, count(*) AS count, sum(amount_minor)::bigint AS amount_minor
    FROM ({_TAKEN}) AS taken GROUP BY debit, credit, is_late
    """  # noqa: S608 - a constant of this file
)
_RULED = f"""
    SELECT taken.journal_id, taken.line, r.section, r.kind, taken.occurred_at, taken.aggregate_id AS object_id,
           taken.debit, taken.credit, taken.amount_minor, r.sign * taken.amount_minor AS effect_minor,
           taken.is_late, taken.position
    FROM ({_TAKEN}) AS taken
    JOIN unnest(
        CAST(:debits AS text[]), CAST(:credits AS text[]), CAST(:lates AS boolean[]), CAST(:kinds AS text[]),
        CAST(:sections AS text[]), CAST(:signs AS bigint[])
    ) AS r (debit, credit, is_late, kind, section, sign) USING (debit, credit, is_late)
"""  # noqa: S608
# The merchant's own reference of the payment is free text, which may name a person: it is read where the payment is and
# not copied into lines, which nobody may change (docs/adr/0178).
ADD_LINES = text(
    f"""
    INSERT INTO pipeline.settlement_line (journal_id, line, section, kind, occurred_at, object_id, debit, credit,
        amount_minor, effect_minor, is_late, position, batch_id)
    SELECT ruled.*, :id FROM ({_RULED}) AS ruled
    """  # noqa: S608
)
LINE_MOVEMENTS = text(
    """
    SELECT debit, credit, is_late, count(*) AS count, sum(amount_minor)::bigint AS amount_minor
    FROM pipeline.settlement_line WHERE batch_id = :id GROUP BY debit, credit, is_late
    """
)
_BEHIND = """
    (occurred_at, journal_id, line) > (:after_at, :after_journal, :after_line)
    ORDER BY occurred_at, journal_id, line LIMIT :limit
"""
# A page of what the open batch takes. Each part is read in its order and no further than the page needs: which of its
# few movements another batch has already, of the minute that it looks back, is asked after that.
OPEN_LINES = text(
    f"""
    SELECT moved.*, p.reference, EXISTS (
        SELECT FROM pipeline.settlement_line l WHERE l.journal_id = moved.journal_id AND l.line = moved.line
    ) AS is_settled
    FROM (
        ({_SINCE_OPENED} AND {_BEHIND})
        UNION ALL
        (SELECT * FROM ({_LATE}) AS late WHERE {_BEHIND})
        ORDER BY occurred_at, journal_id, line LIMIT :limit
    ) AS moved LEFT JOIN pipeline.fact_payment p ON p.payment_id = moved.aggregate_id
    ORDER BY occurred_at, journal_id, line
    """  # noqa: S608
)
# Lines of before have the reference that their statement was made with, and keep it; those of now have none.
LINES = text(
    """
    SELECT l.journal_id, l.line, l.section, l.kind, l.occurred_at, l.object_id,
           coalesce(l.reference, p.reference) AS reference,
           l.debit, l.credit, l.amount_minor, l.effect_minor, l.is_late, l.position, l.batch_id
    FROM (
        SELECT * FROM pipeline.settlement_line
        WHERE batch_id = :id AND section <> 'between_accounts'                    -- settlement_line_batch_idx
          AND (occurred_at, journal_id, line) > (:after_at, :after_journal, :after_line)
        ORDER BY occurred_at, journal_id, line LIMIT :limit
    ) AS l
    LEFT JOIN pipeline.fact_payment p ON p.payment_id = l.object_id               -- fact_payment_pkey
    ORDER BY l.occurred_at, l.journal_id, l.line
    """
)


async def take_time(conn: AsyncConnection) -> None:
    """Until the transaction ends a statement may take STATEMENT_MAX: one statement reads a merchant's whole day."""
    await conn.execute(TAKE_TIME, {"most": f"{STATEMENT_MAX // timedelta(milliseconds=1)}ms"})


async def movements(conn: AsyncConnection, batch: Mapping[str, Any], closes_at: datetime) -> list[Movement]:
    """What an open batch takes until then, added up by accounts."""
    return _movements(await conn.execute(MOVEMENTS, _taken(batch, closes_at)))


async def add_lines(
    conn: AsyncConnection,
    batch: Mapping[str, Any],
    closes_at: datetime,
    rulings: Sequence[tuple[Ruling, bool]],
) -> list[Movement]:
    """Write the batch's lines down, and add up what was written: what comes meanwhile is in neither."""
    values = _taken(batch, closes_at) | _ruled(rulings) | {"id": batch["id"]}
    await conn.execute(ADD_LINES, values)
    return _movements(await conn.execute(LINE_MOVEMENTS, {"id": batch["id"]}))


def _movements(rows: Iterable[Any]) -> list[Movement]:
    return [Movement(row.debit, row.credit, row.is_late, row.count, row.amount_minor) for row in rows]


async def open_lines(
    conn: AsyncConnection, batch: Mapping[str, Any], after: LineKey | None, limit: int
) -> list[dict[str, Any]]:
    """What an open batch takes as it stands now, in order of time, behind `after`, whoever's it is; and what is in
    another batch already, which `is_settled` tells."""
    values = _taken(batch, batch["closes_at"]) | _behind(after, limit)
    return [dict(row) for row in (await conn.execute(OPEN_LINES, values)).mappings()]


async def lines(
    conn: AsyncConnection, batch_id: str, after: LineKey | None, limit: int
) -> list[dict[str, Any]]:
    """The statement's lines of a closed batch, in order of time, behind `after`."""
    values = {"id": batch_id} | _behind(after, limit)
    return [dict(row) for row in (await conn.execute(LINES, values)).mappings()]


def _behind(after: LineKey | None, limit: int) -> dict[str, Any]:
    at, journal, line = after or (EARLIEST, "", -1)
    return {"after_at": at, "after_journal": journal, "after_line": line, "limit": limit}


def _taken(batch: Mapping[str, Any], closes_at: datetime) -> dict[str, Any]:
    return {
        "stream": PAYMENTS,
        "merchant_id": batch["merchant_id"],
        "currency": batch["currency"],
        "opened_at": batch["opened_at"],
        "looks_back_to": batch["opened_at"] - LOOK_BACK,
        "closes_at": closes_at,
        "seen_from": batch["seen_from"] or NEVER,
    }


def _ruled(rulings: Sequence[tuple[Ruling, bool]]) -> dict[str, Any]:
    return {
        "debits": [one.debit for one, _ in rulings],
        "credits": [one.credit for one, _ in rulings],
        "lates": [is_late for _, is_late in rulings],
        "kinds": [one.kind for one, _ in rulings],
        "sections": [section_of(one, is_late) for one, is_late in rulings],
        "signs": [one.sign for one, _ in rulings],
    }
