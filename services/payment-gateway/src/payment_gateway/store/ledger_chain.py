"""The hash chain over committed transfers: extended by one job at a time, recomputed by the verifier."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

GENESIS = bytes(32)
# An id is drawn at most this long before its transaction ends (our sessions are cut off after 60 s): below the highest
# id that was chained an hour ago nothing can appear any more. The verifier looks everywhere.
SETTLED = "1 hour"

LOCK = text("SELECT pg_advisory_xact_lock(hashtext('payments.ledger_chain'))")
HEAD = text("SELECT position, hash FROM payments.ledger_chain ORDER BY position DESC LIMIT 1")
_CONTENT = """
    t.id, t.journal_id, t.debit_account_id, t.credit_account_id, t.amount_minor, t.currency, t.kind, t.payment_id,
    t.hold_id, t.effective_at, t.recorded_at, t.debit_version, t.debits_posted_after, t.debits_pending_after,
    t.credit_version, t.credits_posted_after, t.credits_pending_after, j.merchant_id, j.reverses, j.reason,
    j.description, CAST(j.metadata AS text) AS metadata
"""
UNCHAINED = text(f"""
    SELECT {_CONTENT} FROM payments.transfer t LEFT JOIN payments.journal j ON j.id = t.journal_id
    WHERE t.id > COALESCE((SELECT max(transfer_id) FROM payments.ledger_chain
                           WHERE chained_at < now() - interval '{SETTLED}'), 0)
        AND NOT EXISTS (SELECT FROM payments.ledger_chain c WHERE c.transfer_id = t.id)
    ORDER BY t.id LIMIT :limit
""")  # noqa: S608 - our own columns
EXTEND = text("""
    INSERT INTO payments.ledger_chain (position, transfer_id, previous, hash)
    SELECT * FROM unnest(CAST(:positions AS bigint[]), CAST(:transfers AS bigint[]), CAST(:previous AS bytea[]),
        CAST(:hashes AS bytea[]))
""")
CHAINED = text(f"""
    SELECT c.position, c.previous, c.hash, {_CONTENT} FROM payments.ledger_chain c
    JOIN payments.transfer t ON t.id = c.transfer_id LEFT JOIN payments.journal j ON j.id = t.journal_id
    ORDER BY c.position
""")  # noqa: S608 - our own columns
LAG = text("""
    SELECT count(*) AS behind, COALESCE(EXTRACT(EPOCH FROM now() - min(t.recorded_at)), 0) AS seconds
    FROM payments.transfer t WHERE NOT EXISTS (SELECT FROM payments.ledger_chain c WHERE c.transfer_id = t.id)
""")


@dataclass(frozen=True, slots=True)
class ChainState:
    """What recomputing the chain found."""

    length: int
    broken_at: int | None
    """The first position whose hash, predecessor or number is not what its transfer gives."""
    behind: int
    """Transfers that are not chained yet."""
    lag_s: float
    """Age of the oldest of them."""


def link(previous: bytes, row: Any) -> bytes:
    """SHA-256 over the hash before and the transfer with its journal, as JSON."""
    content = [
        row.id,
        row.journal_id,
        row.debit_account_id,
        row.credit_account_id,
        row.amount_minor,
        row.currency,
        row.kind,
        row.payment_id,
        row.hold_id,
        row.effective_at,
        row.recorded_at,
        row.debit_version,
        row.debits_posted_after,
        row.debits_pending_after,
        row.credit_version,
        row.credits_posted_after,
        row.credits_pending_after,
        row.merchant_id,
        row.reverses,
        row.reason,
        row.description,
        row.metadata,
    ]
    return hashlib.sha256(previous + orjson.dumps(content, option=orjson.OPT_UTC_Z)).digest()


async def extend(conn: AsyncConnection, limit: int) -> int:
    """Chain up to `limit` committed transfers; returns how many. One caller at a time, whoever else calls."""
    await conn.execute(LOCK)
    head = (await conn.execute(HEAD)).first()
    position, previous = (head.position, head.hash) if head else (0, GENESIS)
    positions: list[int] = []
    transfers: list[int] = []
    before: list[bytes] = []
    hashes: list[bytes] = []
    for row in await conn.execute(UNCHAINED, {"limit": limit}):
        position += 1
        positions.append(position)
        transfers.append(row.id)
        before.append(previous)
        previous = link(previous, row)
        hashes.append(previous)
    if positions:
        await conn.execute(
            EXTEND, {"positions": positions, "transfers": transfers, "previous": before, "hashes": hashes}
        )
    return len(positions)


async def recompute(conn: AsyncConnection) -> ChainState:
    """Read every link and the transfer under it."""
    length, broken_at, previous = 0, None, GENESIS
    async for row in await conn.stream(CHAINED):
        length += 1
        sound = (row.position, row.previous, row.hash) == (length, previous, link(previous, row))
        if not sound and broken_at is None:
            broken_at = row.position
        previous = row.hash
    lag = (await conn.execute(LAG)).one()
    return ChainState(length, broken_at, lag.behind, float(lag.seconds))
