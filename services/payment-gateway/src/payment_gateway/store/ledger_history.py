"""Reads of the ledger's history: balances as of a time, journals, transfers by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.ledger import AccountName, Posting, PostingKind

# Summed from the rows, not read from a counter: rows are neither recorded nor effective in the order of versions.
AS_OF = text("""
    SELECT COALESCE(sum(side * CASE WHEN kind IN ('posted', 'post') THEN amount_minor ELSE 0 END), 0) AS posted,
        COALESCE(sum(CASE WHEN side > 0 OR kind = 'posted' THEN 0 WHEN kind = 'pending' THEN amount_minor
            ELSE -amount_minor END), 0) AS held
    FROM (
        SELECT -1 AS side, kind, amount_minor, effective_at, recorded_at FROM payments.transfer
        WHERE debit_account_id = :account
        UNION ALL
        SELECT 1, kind, amount_minor, effective_at, recorded_at FROM payments.transfer
        WHERE credit_account_id = :account
    ) AS line
    WHERE (CAST(:effective_at AS timestamptz) IS NULL OR effective_at <= :effective_at)
        AND (CAST(:recorded_at AS timestamptz) IS NULL OR recorded_at <= :recorded_at)
""")
ACCOUNT_ID = text(
    "SELECT id FROM payments.account WHERE (owner, kind, currency) = (:owner, :kind, :currency)"
)
JOURNAL = text("""
    SELECT d.owner AS debit_owner, d.kind AS debit_kind, c.owner AS credit_owner, c.kind AS credit_kind,
        t.currency, t.amount_minor, t.kind
    FROM payments.journal j JOIN payments.transfer t ON t.journal_id = j.id
    JOIN payments.account d ON d.id = t.debit_account_id JOIN payments.account c ON c.id = t.credit_account_id
    WHERE j.id = :id AND j.merchant_id = :merchant_id ORDER BY t.id
""")
# journal_by_merchant_idx; ids of one page on are lower than the cursor, so that new rows never shift a page.
TRANSFERS = text("""
    SELECT j.id AS journal_id, t.id, d.kind AS debit, c.kind AS credit, t.amount_minor, t.currency, t.kind, t.hold_id,
        t.effective_at, t.recorded_at, j.reverses, j.reason, j.description, j.metadata
    FROM (
        SELECT * FROM payments.journal WHERE merchant_id = :merchant_id
            AND (CAST(:before AS text) IS NULL OR id < :before)
            AND (CAST(:labels AS jsonb) IS NULL OR metadata <> '{}' AND metadata @> CAST(:labels AS jsonb))
        ORDER BY id DESC LIMIT :limit
    ) AS j JOIN payments.transfer t ON t.journal_id = j.id
    JOIN payments.account d ON d.id = t.debit_account_id JOIN payments.account c ON c.id = t.credit_account_id
    ORDER BY j.id DESC, t.id
""")
GET_JOURNAL = text("""
    SELECT j.id AS journal_id, t.id, d.kind AS debit, c.kind AS credit, t.amount_minor, t.currency, t.kind, t.hold_id,
        t.effective_at, t.recorded_at, j.reverses, j.reason, j.description, j.metadata,
        (SELECT id FROM payments.journal WHERE reverses = j.id) AS reversed_by
    FROM payments.journal j JOIN payments.transfer t ON t.journal_id = j.id
    JOIN payments.account d ON d.id = t.debit_account_id JOIN payments.account c ON c.id = t.credit_account_id
    WHERE j.id = :id AND j.merchant_id = :merchant_id ORDER BY t.id
""")
# By the account's own version (transfer_debit_version_key, transfer_credit_version_key): dense, in the order in which
# its counters moved, and no row that comes later gets a lower one.
_SIDE = """
    (SELECT t.*, {side}_version AS version FROM payments.transfer t WHERE {side}_account_id = :account
        AND {side}_version < COALESCE(CAST(:before AS bigint), 9223372036854775807)
        ORDER BY {side}_version DESC LIMIT :limit)"""
OF_ACCOUNT = text(f"""
    SELECT t.version, t.journal_id, d.kind AS debit, c.kind AS credit, t.amount_minor, t.currency, t.kind, t.hold_id,
        t.effective_at, t.recorded_at, j.reverses, j.reason, j.description, j.metadata
    FROM ({_SIDE.format(side="debit")} UNION ALL {_SIDE.format(side="credit")}) AS t
    JOIN payments.journal j ON j.id = t.journal_id
    JOIN payments.account d ON d.id = t.debit_account_id JOIN payments.account c ON c.id = t.credit_account_id
    ORDER BY t.version DESC LIMIT :limit
""")  # noqa: S608 - the names are ours


class Balance(NamedTuple):
    """In minor units: what is posted, and what outgoing holds set aside of it."""

    posted_minor: int
    held_minor: int

    @property
    def available_minor(self) -> int:
        return self.posted_minor - self.held_minor


async def balance(
    conn: AsyncConnection, name: AccountName, effective_at: datetime | None, recorded_at: datetime | None
) -> Balance | None:
    """The balance as it was by either time (None = whenever); None if the account is not open."""
    account = await account_id(conn, name)
    if account is None:
        return None
    times = {"effective_at": effective_at, "recorded_at": recorded_at}
    row = (await conn.execute(AS_OF, {"account": account} | times)).one()
    return Balance(int(row.posted), int(row.held))


async def account_id(conn: AsyncConnection, name: AccountName) -> int | None:
    """None if the account is not open."""
    found: int | None = (await conn.execute(ACCOUNT_ID, name._asdict())).scalar()
    return found


async def of_account(
    conn: AsyncConnection, name: AccountName, before: int | None, limit: int
) -> Sequence[Any] | None:
    """Transfers that touched an account, newest first, below its version `before`; None if it is not open."""
    account = await account_id(conn, name)
    if account is None:
        return None
    parameters = {"account": account, "before": before, "limit": limit}
    return (await conn.execute(OF_ACCOUNT, parameters)).all()


async def postings(conn: AsyncConnection, journal_id: str, merchant_id: str) -> tuple[Posting, ...]:
    """What a journal of the merchant's own ledger moved; nothing if there is no such journal."""
    rows = await conn.execute(JOURNAL, {"id": journal_id, "merchant_id": merchant_id})
    return tuple(
        Posting(
            AccountName(row.debit_owner, row.debit_kind, row.currency),
            AccountName(row.credit_owner, row.credit_kind, row.currency),
            row.amount_minor,
            PostingKind(row.kind),
        )
        for row in rows
    )


async def journal(conn: AsyncConnection, journal_id: str, merchant_id: str) -> Sequence[Any]:
    """The rows of a journal of the merchant's own ledger, each with what it says and which journal took it back."""
    return (await conn.execute(GET_JOURNAL, {"id": journal_id, "merchant_id": merchant_id})).all()


async def page(
    conn: AsyncConnection, merchant_id: str, before: str | None, limit: int, labels: Mapping[str, str]
) -> Sequence[Any]:
    """Transfers of the merchant's newest `limit` journals below the journal `before`, newest journal first; of those
    whose metadata has all `labels`."""
    wanted = orjson.dumps(labels).decode() if labels else None
    parameters = {"merchant_id": merchant_id, "before": before, "limit": limit, "labels": wanted}
    return (await conn.execute(TRANSFERS, parameters)).all()
