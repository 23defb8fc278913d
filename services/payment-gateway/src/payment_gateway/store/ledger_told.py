"""The ledger as of the last numbered event: what a reader of the events must have, account by account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Counters, less what transfers changed whose event has no number yet (outbox_event_unpositioned_idx: as few as the
# relay is behind). One statement is one snapshot. Ordered by bytes, as the reader keeps its names.
BALANCES = text("""
    WITH line AS (
        SELECT DISTINCT e.data #>> '{journal,id}' AS journal_id, l.n, l.transfer ->> 'debit' AS debit,
            l.transfer ->> 'credit' AS credit, l.transfer ->> 'currency' AS currency, l.transfer ->> 'kind' AS kind,
            (l.transfer ->> 'amount_minor')::bigint AS amount
        FROM payments.outbox_event e,
            jsonb_array_elements(e.data #> '{journal,transfers}') WITH ORDINALITY AS l (transfer, n)
        WHERE e.position IS NULL AND jsonb_typeof(e.data #> '{journal,transfers}') = 'array'
    ), side AS (
        SELECT debit AS account, currency, kind, amount AS debit, 0 AS credit FROM line
        UNION ALL SELECT credit, currency, kind, 0, amount FROM line
    ), untold AS (
        SELECT account, currency,
            sum(debit) FILTER (WHERE kind IN ('posted', 'post')) AS debits,
            sum(credit) FILTER (WHERE kind IN ('posted', 'post')) AS credits,
            sum(CASE kind WHEN 'pending' THEN debit WHEN 'posted' THEN 0 ELSE -debit END) AS debits_pending,
            sum(CASE kind WHEN 'pending' THEN credit WHEN 'posted' THEN 0 ELSE -credit END) AS credits_pending
        FROM side GROUP BY account, currency
    ), named AS (
        SELECT (owner || ':' || kind) COLLATE "C" AS account, currency COLLATE "C" AS currency,
            debits_posted, credits_posted, debits_pending, credits_pending
        FROM payments.account
    ), page AS (
        SELECT * FROM named WHERE (account, currency) > (:after_account, :after_currency)
        ORDER BY account, currency LIMIT :limit
    )
    SELECT h.last_position, page.account, page.currency,
        (page.debits_posted - COALESCE(untold.debits, 0))::bigint AS debits_minor,
        (page.credits_posted - COALESCE(untold.credits, 0))::bigint AS credits_minor,
        (page.debits_pending - COALESCE(untold.debits_pending, 0))::bigint AS debits_pending_minor,
        (page.credits_pending - COALESCE(untold.credits_pending, 0))::bigint AS credits_pending_minor
    FROM (SELECT COALESCE((SELECT last_position FROM payments.outbox_head), 0) AS last_position) AS h
    LEFT JOIN page ON true LEFT JOIN untold ON (untold.account, untold.currency) = (page.account, page.currency)
    ORDER BY page.account, page.currency
""")
CHAIN = text("""
    SELECT position, encode(hash, 'hex') AS hash, chained_at FROM payments.ledger_chain ORDER BY position DESC LIMIT 1
""")
JOURNAL = text("""
    SELECT j.id, j.merchant_id, j.reverses, r.id AS reversed_by, j.reason, j.description, j.metadata, j.recorded_at
    FROM payments.journal j LEFT JOIN payments.journal r ON r.reverses = j.id WHERE j.id = :id
""")
# transfer_journal_id_idx, ledger_chain_transfer_id_key
LINES = text("""
    SELECT t.payment_id, t.hold_id, t.effective_at, c.position AS link, encode(c.hash, 'hex') AS hash
    FROM payments.transfer t LEFT JOIN payments.ledger_chain c ON c.transfer_id = t.id
    WHERE t.journal_id = :id ORDER BY t.id
""")


async def balances(
    conn: AsyncConnection, after: tuple[str, str], limit: int
) -> tuple[int, Sequence[dict[str, Any]]]:
    """The last numbered position, and a page of accounts by name and currency as they were by then."""
    values = {"after_account": after[0], "after_currency": after[1], "limit": limit}
    rows = (await conn.execute(BALANCES, values)).mappings().all()
    return rows[0]["last_position"], [dict(row) for row in rows if row["account"] is not None]


async def chain_head(conn: AsyncConnection) -> dict[str, Any] | None:
    """The last link of the hash chain; None before the first."""
    row = (await conn.execute(CHAIN)).mappings().one_or_none()
    return dict(row) if row else None


async def journal(conn: AsyncConnection, journal_id: str) -> dict[str, Any] | None:
    """What a journal's events do not tell: reversals, words, and the links of its lines; None if there is none."""
    found = (await conn.execute(JOURNAL, {"id": journal_id})).mappings().one_or_none()
    if found is None:
        return None
    return {
        **found,
        "lines": [dict(line) for line in (await conn.execute(LINES, {"id": journal_id})).mappings()],
    }
