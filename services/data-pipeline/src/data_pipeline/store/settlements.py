"""Batches of merchants' settlements, and the ledger's movements that go into them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.settlement_batch import ACCOUNTS, Figures, Movement, Ruling, State, section_of
from data_pipeline.store.tables import settlement_batch as b
from data_pipeline.store.tables.settlements import SECTIONS

PAYMENTS: Final = "events:payments"
"""The stream of the gateway, as `clients.event_sources` calls it: what the ledger tells is on no other."""
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LineKey = tuple[datetime, str, int]
"""Occurred, journal, line: where a line stands in its batch."""
NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
LOOK_BACK: Final = timedelta(seconds=60)
"""What happened just before a batch was closed may have come just after: the next one looks back so far by itself. It
is more than the 30 s from which on stored_event_late_idx knows of it: nothing falls between the two."""
CLOSING_MAX: Final = timedelta(hours=1)
"""Longest time between the start of a transaction of the consumer, which is `received_at`, and its commit."""

COUNTED_MAX: Final = 10_000
"""Of batches in one state: beyond that it is enough to know that they are more."""
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
# A loose scan: one probe of fact_transfer_merchant_idx for each merchant and currency, whatever they moved.
PAIRS = text(
    """
    WITH RECURSIVE pair (merchant_id, currency) AS (
        (SELECT merchant_id, currency FROM pipeline.fact_transfer WHERE merchant_id IS NOT NULL
         ORDER BY merchant_id, currency LIMIT 1)
        UNION ALL
        SELECT further.merchant_id, further.currency FROM pair CROSS JOIN LATERAL (
            SELECT t.merchant_id, t.currency FROM pipeline.fact_transfer t
            WHERE t.merchant_id IS NOT NULL AND (t.merchant_id, t.currency) > (pair.merchant_id, pair.currency)
            ORDER BY t.merchant_id, t.currency LIMIT 1
        ) AS further
    )
    SELECT merchant_id, currency FROM pair
    WHERE NOT EXISTS (
        SELECT FROM pipeline.settlement_batch k
        WHERE k.merchant_id = pair.merchant_id AND k.currency = pair.currency AND k.state = 'open'
    )
    """
)
FIRST_MOVED = text(
    """
    SELECT min(occurred_at) FROM pipeline.fact_transfer
    WHERE merchant_id = :merchant_id AND currency = :currency AND kind IN ('posted', 'post')
      AND occurred_at >= :after                                                   -- fact_transfer_merchant_idx
    """
)
OPEN = text(
    """
    INSERT INTO pipeline.settlement_batch
        (id, merchant_id, currency, number, state, opened_at, closes_at, opening_minor, closing_minor, accounts,
         position, seen_from, refreshed_at)
    VALUES (:id, :merchant_id, :currency, :number, 'open', :opened_at, :closes_at, :opening_minor, :opening_minor,
            CAST(:accounts AS json), :position, :seen_from, :at)
    ON CONFLICT DO NOTHING
    """
)
OPEN_BATCHES = text(
    "SELECT id FROM pipeline.settlement_batch WHERE state = 'open' ORDER BY merchant_id, currency"
)
LOCK = text("SELECT * FROM pipeline.settlement_batch WHERE id = :id FOR UPDATE")
NOTE = text(
    f"""
    UPDATE pipeline.settlement_batch SET
        closes_at = :closes_at, closing_minor = :closing_minor, accounts = CAST(:accounts AS json),
        {", ".join(f"{section}_minor = :{section}" for section in SECTIONS)},
        came_back_minor = :came_back_minor, line_count = :line_count,
        late_count = :late_count, position = :position, refreshed_at = :at,
        state = :state, closed_at = :closed_at, closed_by = :closed_by,
        merchant_name = (                                       -- none while it is open: it may change until then
            SELECT v.name FROM pipeline.merchant_version v
            WHERE v.merchant_id = settlement_batch.merchant_id AND v.valid_from <= CAST(:closed_at AS timestamptz)
            ORDER BY v.position DESC LIMIT 1                                       -- merchant_version_pkey
        )
    WHERE id = :id AND state = 'open'
    """  # noqa: S608 - names of our own
)
ON_ITS_WAY = text(
    """
    SELECT closes_at, id FROM pipeline.settlement_batch
    WHERE state = :state AND (closes_at, id) > (:after_at, :after_id)             -- settlement_batch_on_its_way_idx
    ORDER BY closes_at, id LIMIT :limit
    """
)
ADVANCE: Final = {
    state: text(
        f"""
        UPDATE pipeline.settlement_batch
        SET state = '{state}', {state}_at = :at, manifest = coalesce(CAST(:manifest AS json), manifest)
        WHERE id = :id AND state = :before
        """  # noqa: S608 - names of our own
    )
    for state in (State.GENERATED, State.PAID, State.RECONCILED)
}
READ = text("SELECT * FROM pipeline.settlement_batch WHERE id = :id")
READ_NUMBER = text(
    """
    SELECT * FROM pipeline.settlement_batch
    WHERE merchant_id = :merchant_id AND currency = :currency AND number = :number
    """
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
# That there was one is the line's to say: its fact may not be here yet, after an upgrade until the replay.
PAYOUTS = text(
    """
    SELECT l.object_id AS payout_id, k.merchant_id, p.status, l.amount_minor, k.currency, p.destination, p.slot,
           p.failure_code, coalesce(p.created_at, l.occurred_at) AS created_at, p.updated_at, p.decided_at,
           coalesce(p.position, l.position) AS position
    FROM pipeline.settlement_line l JOIN pipeline.settlement_batch k ON k.id = l.batch_id
    LEFT JOIN pipeline.fact_payout p ON p.payout_id = l.object_id
    WHERE l.batch_id = :id AND l.section = 'payouts' AND l.kind = 'payout'        -- settlement_line_payouts_idx
    ORDER BY created_at, payout_id
    """
)
OPEN_OF = text(
    """
    SELECT id FROM pipeline.settlement_batch
    WHERE merchant_id = :merchant_id AND currency = :currency AND state = 'open'  -- settlement_batch_open_idx
    """
)
# One count a state, each of so many rows at most: those that are done are nearly all, and found at once.
STATE_COUNTS = text(
    " UNION ALL ".join(
        f"""
        SELECT '{state}' AS state, count(*) AS count FROM (
            SELECT FROM pipeline.settlement_batch WHERE state = '{state}' AND line_count > 0 LIMIT {COUNTED_MAX} + 1
        ) AS counted
        """  # noqa: S608 - names of our own
        for state in State
    )
)


async def take_time(conn: AsyncConnection) -> None:
    """Until the transaction ends a statement may take STATEMENT_MAX: one statement reads a merchant's whole day."""
    await conn.execute(TAKE_TIME, {"most": f"{STATEMENT_MAX // timedelta(milliseconds=1)}ms"})


async def pairs_without_open(conn: AsyncConnection) -> list[tuple[str, str]]:
    """(merchant, currency) that moved money and have no open batch."""
    return [(row.merchant_id, row.currency) for row in await conn.execute(PAIRS)]


async def first_moved(
    conn: AsyncConnection, merchant_id: str, currency: str, after: datetime
) -> datetime | None:
    values = {"merchant_id": merchant_id, "currency": currency, "after": after}
    found: datetime | None = await conn.scalar(FIRST_MOVED, values)
    return found


async def open_batch(conn: AsyncConnection, row: Mapping[str, Any]) -> None:
    """Begin a batch; nothing happens when the pair has an open one by now."""
    await conn.execute(OPEN, dict(row) | {"accounts": orjson.dumps(row["accounts"]).decode()})


async def open_batches(conn: AsyncConnection) -> list[str]:
    return list((await conn.execute(OPEN_BATCHES)).scalars())


async def lock(conn: AsyncConnection, batch_id: str) -> dict[str, Any] | None:
    row = (await conn.execute(LOCK, {"id": batch_id})).mappings().one_or_none()
    return dict(row) if row else None


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


async def note(
    conn: AsyncConnection,
    batch_id: str,
    figures: Figures,
    *,
    closes_at: datetime,
    position: int,
    at: datetime,
    closed_by: str | None = None,
) -> None:
    """What an open batch comes to; `closed_by` closes it."""
    values = {str(section): figures.sections.get(section, 0) for section in SECTIONS} | {
        "id": batch_id,
        "closes_at": closes_at,
        "closing_minor": figures.closing_minor,
        "accounts": orjson.dumps(accounts_of(figures)).decode(),
        "came_back_minor": figures.came_back_minor,
        "line_count": figures.line_count,
        "late_count": figures.late_count,
        "position": position,
        "at": at,
        "state": State.CLOSED if closed_by else State.OPEN,
        "closed_at": at if closed_by else None,
        "closed_by": closed_by,
    }
    await conn.execute(NOTE, values)


def accounts_of(figures: Figures) -> dict[str, dict[str, int]]:
    return {
        account: {
            "opening_minor": figures.opening.get(account, 0),
            "closing_minor": figures.closing.get(account, 0),
        }
        for account in ACCOUNTS
    }


async def on_its_way(
    conn: AsyncConnection, state: State, after: tuple[datetime, str] | None, limit: int
) -> list[tuple[datetime, str]]:
    """(closes, id) of batches in this state, the oldest first, behind `after`."""
    at, batch_id = after or (EARLIEST, "")
    values = {"state": state, "after_at": at, "after_id": batch_id, "limit": limit}
    return [(row.closes_at, row.id) for row in await conn.execute(ON_ITS_WAY, values)]


async def advance(
    conn: AsyncConnection,
    batch_id: str,
    before: State,
    after: State,
    at: datetime,
    manifest: Mapping[str, Any] | None = None,
) -> bool:
    """False when it was not in the state `before`."""
    told = None if manifest is None else orjson.dumps(manifest, option=orjson.OPT_UTC_Z).decode()
    values = {"id": batch_id, "before": before, "at": at, "manifest": told}
    return (await conn.execute(ADVANCE[after], values)).rowcount == 1


async def read(conn: AsyncConnection, batch_id: str) -> dict[str, Any] | None:
    row = (await conn.execute(READ, {"id": batch_id})).mappings().one_or_none()
    return dict(row) if row else None


async def beside(conn: AsyncConnection, batch: Mapping[str, Any], step: int) -> dict[str, Any] | None:
    """The batch of the same merchant and currency that is so many after this one."""
    values = {name: batch[name] for name in ("merchant_id", "currency")} | {"number": batch["number"] + step}
    row = (await conn.execute(READ_NUMBER, values)).mappings().one_or_none()
    return dict(row) if row else None


async def page(
    conn: AsyncConnection,
    *,
    state: State | None = None,
    merchant_id: str | None = None,
    currency: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Up to `limit` batches that have lines, the newest first, older than `before` (closes, id)."""
    found = select(b).where(b.c.line_count > 0).order_by(b.c.closes_at.desc(), b.c.id.desc()).limit(limit)
    for column, value in ((b.c.state, state), (b.c.merchant_id, merchant_id), (b.c.currency, currency)):
        if value is not None:
            found = found.where(column == value)
    if since is not None:
        found = found.where(b.c.closes_at > since)
    if until is not None:
        found = found.where(b.c.opened_at < until)
    if before is not None:
        found = found.where(tuple_(b.c.closes_at, b.c.id) < tuple_(*before))
    # Names of columns are a kind of str that JSON does not take for one.
    return [
        {str(name): value for name, value in row.items()} for row in (await conn.execute(found)).mappings()
    ]


async def lines(
    conn: AsyncConnection, batch_id: str, after: LineKey | None, limit: int
) -> list[dict[str, Any]]:
    """The statement's lines of a closed batch, in order of time, behind `after`."""
    values = {"id": batch_id} | _behind(after, limit)
    return [dict(row) for row in (await conn.execute(LINES, values)).mappings()]


async def payouts(conn: AsyncConnection, batch_id: str) -> list[dict[str, Any]]:
    """The payouts that a closed batch instructed, as the bank left them; without a status while no fact tells of it."""
    return [dict(row) for row in (await conn.execute(PAYOUTS, {"id": batch_id})).mappings()]


async def open_of(conn: AsyncConnection, merchant_id: str, currency: str) -> str:
    """The open batch of a pair that has one."""
    return str(await conn.scalar(OPEN_OF, {"merchant_id": merchant_id, "currency": currency}))


async def state_counts(conn: AsyncConnection) -> dict[str, int]:
    """State -> how many batches, COUNTED_MAX + 1 for more."""
    return {state: int(count) for state, count in await conn.execute(STATE_COUNTS)}


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
