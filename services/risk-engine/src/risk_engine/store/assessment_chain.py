"""The hash chain over stored assessments: extended by one job at a time, recomputed by whoever doubts.

Each assessment is committed with one event, and the relay numbers events densely in commit order; the chain follows
these numbers, so it needs no search for what came late. The program can neither change a link nor an assessment.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from risk_engine.store.assessments import MADE

GENESIS = bytes(32)

LOCK = text("SELECT pg_advisory_xact_lock(hashtext('risk.assessment_chain'))")
HEAD = text("SELECT position, hash FROM risk.assessment_chain ORDER BY position DESC LIMIT 1")
AT = text("SELECT hash FROM risk.assessment_chain WHERE position <= :after ORDER BY position DESC LIMIT 1")

_CONTENT = """
    a.id, a.merchant_id, a.idempotency_key, encode(a.fingerprint, 'hex') AS fingerprint, a.payment_id, a.decision,
    a.score, a.rule_set, a.model, a.occurred_at, a.expires_at, a.created_at, a.is_late,
    CAST(a.request AS text) AS request, CAST(a.facts AS text) AS facts, CAST(a.outcome AS text) AS outcome
"""
_MEMBERS = (
    *("id", "merchant_id", "idempotency_key", "fingerprint", "payment_id", "decision", "score", "rule_set"),
    *("model", "occurred_at", "expires_at", "created_at", "is_late", "request", "facts", "outcome"),
)

# By outbox_event_position_key, then the assessment's primary key.
UNCHAINED = text(f"""
    SELECT e.position, {_CONTENT} FROM risk.outbox_event e JOIN risk.assessment a ON a.id = e.aggregate_id
    WHERE e.position > :after AND e.type = :type ORDER BY e.position LIMIT :limit
""")  # noqa: S608 - our own columns

EXTEND = text("""
    INSERT INTO risk.assessment_chain (position, assessment_id, hash)
    SELECT * FROM unnest(CAST(:positions AS bigint[]), CAST(:assessments AS text[]), CAST(:hashes AS bytea[]))
""")

CHAINED = text(f"""
    SELECT c.position, c.assessment_id, c.hash, {_CONTENT} FROM risk.assessment_chain c
    LEFT JOIN risk.assessment a ON a.id = c.assessment_id
    WHERE c.position > :after ORDER BY c.position LIMIT :limit
""")  # noqa: S608 - our own columns

BEHIND = text("""
    SELECT count(*) FROM risk.outbox_event
    WHERE type = :type AND (position > :head OR position IS NULL)
""")

WATCHED = text(
    "SELECT checked_to, head_position, head_hash, broken_at FROM risk.chain_watch FOR UPDATE SKIP LOCKED"
)
SWEPT = text("SELECT swept_at FROM risk.chain_watch")
LINK_AT = text("SELECT hash FROM risk.assessment_chain WHERE position = :position")
WATCH = text("""
    UPDATE risk.chain_watch SET checked_to = CAST(:checked_to AS bigint), head_position = :head_position,
        head_hash = :head_hash, broken_at = :broken_at,
        swept_at = CASE WHEN CAST(:checked_to AS bigint) = 0 THEN now() ELSE swept_at END
""")


@dataclass(frozen=True, slots=True)
class Watch:
    """Where the last look ended, the head that it saw (place and hash of a link), and the break that it knows."""

    checked_to: int
    head_position: int
    head_hash: bytes | None
    broken_at: int | None


@dataclass(frozen=True, slots=True)
class Checked:
    """What recomputing a slice found; `broken_at` is the first position that does not follow from what is stored."""

    length: int
    last: int | None
    broken_at: int | None


def link(previous: bytes, row: Any) -> bytes:
    """SHA-256 over the hash before and the assessment as it is stored."""
    content = [getattr(row, name) for name in _MEMBERS]
    return hashlib.sha256(previous + orjson.dumps(content, option=orjson.OPT_UTC_Z)).digest()


async def extend(conn: AsyncConnection, limit: int) -> tuple[int, int, bytes]:
    """Chain up to `limit` numbered assessments: how many, and the head. One caller at a time, whoever else calls."""
    await conn.execute(LOCK)
    head = (await conn.execute(HEAD)).first()
    position, previous = (head.position, head.hash) if head else (0, GENESIS)
    rows: Sequence[Any] = (
        await conn.execute(UNCHAINED, {"after": position, "type": MADE, "limit": limit})
    ).all()
    hashes: list[bytes] = []
    for row in rows:
        previous = link(previous, row)
        hashes.append(previous)
    if rows:
        position = rows[-1].position
        values = {"positions": [row.position for row in rows], "assessments": [row.id for row in rows]}
        await conn.execute(EXTEND, values | {"hashes": hashes})
    return len(rows), position, previous


async def recompute(conn: AsyncConnection, after: int, limit: int) -> Checked:
    """Read up to `limit` links behind position `after`, and the assessment under each."""
    previous = await conn.scalar(AT, {"after": after}) or GENESIS
    rows = (await conn.execute(CHAINED, {"after": after, "limit": limit})).all()
    broken_at = None
    for row in rows:
        if broken_at is None and (row.id is None or row.hash != link(previous, row)):
            broken_at = row.position
        previous = row.hash
    return Checked(len(rows), rows[-1].position if rows else None, broken_at)


async def behind(conn: AsyncConnection) -> int:
    """How many assessments are stored and not chained yet."""
    head = (await conn.execute(HEAD)).first()
    number: int = await conn.scalar(BEHIND, {"type": MADE, "head": head.position if head else 0}) or 0
    return number


async def watch(conn: AsyncConnection) -> Watch | None:
    """The watch, locked until the transaction ends; None while somebody else looks."""
    row = (await conn.execute(WATCHED)).first()
    return None if row is None else Watch(*row)


async def is_cut(conn: AsyncConnection, seen: Watch) -> bool:
    """Whether the link that was the head once is gone, or is another one now."""
    if seen.head_hash is None:
        return False
    found: bytes | None = await conn.scalar(LINK_AT, {"position": seen.head_position})
    return found != seen.head_hash


async def keep_watch(conn: AsyncConnection, seen: Watch) -> None:
    """Where the next look begins; at 0 a sweep is finished and the next one begins."""
    await conn.execute(WATCH, asdict(seen))


async def head_of(conn: AsyncConnection) -> tuple[int, bytes | None]:
    """The newest link's place and hash; (0, None) of an empty chain."""
    row = (await conn.execute(HEAD)).first()
    return (row.position, row.hash) if row else (0, None)


async def swept_at(conn: AsyncConnection) -> datetime | None:
    """When the watch had last recomputed the whole chain."""
    found: datetime | None = await conn.scalar(SWEPT)
    return found
