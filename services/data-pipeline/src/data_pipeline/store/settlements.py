"""Batches of merchants' settlements, from opened to reconciled."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.settlement_batch import ACCOUNTS, Figures, State
from data_pipeline.store.settlement_lines import EARLIEST
from data_pipeline.store.tables import settlement_batch as b
from data_pipeline.store.tables.settlements import SECTIONS

CLOSING_MAX: Final = timedelta(hours=1)
"""Longest time between the start of a transaction of the consumer, which is `received_at`, and its commit."""

COUNTED_MAX: Final = 10_000
"""Of batches in one state: beyond that it is enough to know that they are more."""
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


async def payouts(conn: AsyncConnection, batch_id: str) -> list[dict[str, Any]]:
    """The payouts that a closed batch instructed, as the bank left them; without a status while no fact tells of it."""
    return [dict(row) for row in (await conn.execute(PAYOUTS, {"id": batch_id})).mappings()]


async def open_of(conn: AsyncConnection, merchant_id: str, currency: str) -> str:
    """The open batch of a pair that has one."""
    return str(await conn.scalar(OPEN_OF, {"merchant_id": merchant_id, "currency": currency}))


async def state_counts(conn: AsyncConnection) -> dict[str, int]:
    """State -> how many batches, COUNTED_MAX + 1 for more."""
    return {state: int(count) for state, count in await conn.execute(STATE_COUNTS)}
