"""Rule sets by content hash, their approvals, and the publications whose newest row says what decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat
from risk_engine.domain.decision import Decision
from risk_engine.domain.trial import Pair

INSERT = text("""
    INSERT INTO risk.rule_set (hash, name, document, saved_by)
    VALUES (:hash, :name, CAST(:document AS jsonb), :saved_by)
    ON CONFLICT (hash) DO NOTHING
""")

APPROVE = text("""
    INSERT INTO risk.rule_set_approval (rule_set, saved_by, approved_by, note)
    VALUES (:rule_set, :saved_by, :approved_by, :note) ON CONFLICT (rule_set) DO NOTHING
""")

PUBLISH = text("""
    INSERT INTO risk.rule_set_publication (rule_set, act, acted_by, challenger, challenger_share_bp)
    VALUES (:rule_set, :act, :acted_by, :challenger, :share_bp)
    RETURNING id, rule_set, act, acted_by, challenger, challenger_share_bp, published_at
""")

# Who changes what decides waits here for who does so already.
LOCK_PUBLICATIONS = text("SELECT pg_advisory_xact_lock(hashtext('risk.rule_set_publication'))")

_PUBLICATION = "id, rule_set, act, acted_by, challenger, challenger_share_bp, published_at"

# Index: the primary key, backwards.
LIVE = text(f"SELECT {_PUBLICATION} FROM risk.rule_set_publication ORDER BY id DESC LIMIT 1")  # noqa: S608 - our columns
HISTORY = text(f"SELECT {_PUBLICATION} FROM risk.rule_set_publication ORDER BY id DESC LIMIT :limit")  # noqa: S608

# The set that decided before the live one was last published; a rollback of a rollback goes further back, never forth
# and back, because a rollback is no publication of its own.
BEFORE = text("""
    SELECT p.rule_set FROM risk.rule_set_publication p
    WHERE p.rule_set <> :live AND p.id < (SELECT max(id) FROM risk.rule_set_publication
                                          WHERE rule_set = :live AND act = 'publish')
    ORDER BY p.id DESC LIMIT 1
""")

DOCUMENT = text("SELECT document FROM risk.rule_set WHERE hash = :hash").columns(document=JSONB)

_LISTED = """
    SELECT s.hash, s.name, s.saved_by, s.created_at, jsonb_array_length(s.document -> 'rules') AS rule_count,
           a.approved_by, a.approved_at, a.note,
           (SELECT max(published_at) FROM risk.rule_set_publication p
            WHERE p.rule_set = s.hash AND p.act IN ('publish', 'rollback')) AS published_at,
           EXISTS (SELECT FROM risk.backtest b WHERE b.rule_set = s.hash AND b.status = 'done') AS is_backtested,
           live.rule_set = s.hash AS is_live, live.challenger = s.hash AS is_challenger
    FROM risk.rule_set s
    LEFT JOIN risk.rule_set_approval a ON a.rule_set = s.hash
    LEFT JOIN LATERAL (SELECT rule_set, challenger FROM risk.rule_set_publication
                       ORDER BY id DESC LIMIT 1) live ON true
"""
LIST = text(f"{_LISTED} ORDER BY s.created_at DESC LIMIT :limit")  # a list that people keep short
ONE = text(f"{_LISTED} WHERE s.hash = :hash")

# By assessment_created_at_idx; rows without another verdict are passed over.
PAIRS = text("""
    SELECT rule_set, CASE WHEN outcome -> 'let_through' IS NOT NULL THEN 'block' ELSE decision END AS decision,
           outcome -> 'other' ->> 'decision' AS other, count(*) AS number
    FROM risk.assessment
    WHERE created_at >= :since AND (rule_set, outcome -> 'other' ->> 'rule_set')
        IN ((:live, :challenger), (:challenger, :live))
    GROUP BY 1, 2, 3
""")


@dataclass(frozen=True, slots=True)
class Publication:
    """The pointer: which set decides since when, and which challenger beside it (share in basis points)."""

    id: int
    rule_set: str
    act: str
    acted_by: str
    challenger: str | None
    share_bp: int | None
    published_at: datetime

    def as_answer(self) -> dict[str, Any]:
        return {
            "object": "rule_set_publication",
            "publication": self.id,
            "hash": self.rule_set,
            "act": self.act,
            "acted_by": self.acted_by,
            "challenger": self.challenger,
            "challenger_share_bp": self.share_bp,
            "published_at": isoformat(self.published_at),
        }


async def add(
    conn: AsyncConnection, rule_set: str, name: str, document: Mapping[str, Any], saved_by: str
) -> None:
    """Store a set; the same content again changes nothing, and stays whose it was."""
    values = {
        "hash": rule_set,
        "name": name,
        "document": orjson.dumps(document).decode(),
        "saved_by": saved_by,
    }
    await conn.execute(INSERT, values)


async def approve(
    conn: AsyncConnection, rule_set: str, saved_by: str, approved_by: str, note: str | None
) -> None:
    """Record the second person; a second approval changes nothing. The database refuses the one who saved it."""
    values = {"rule_set": rule_set, "saved_by": saved_by, "approved_by": approved_by, "note": note}
    await conn.execute(APPROVE, values)


async def publish(
    conn: AsyncConnection,
    rule_set: str,
    act: str,
    acted_by: str,
    challenger: str | None = None,
    share_bp: int | None = None,
) -> Publication:
    """Point at a stored set, and at a challenger beside it. The caller has checked that both may."""
    values = {"rule_set": rule_set, "act": act, "acted_by": acted_by}
    row = (await conn.execute(PUBLISH, values | {"challenger": challenger, "share_bp": share_bp})).one()
    return _publication(row)


async def live(conn: AsyncConnection) -> Publication | None:
    """The newest publication; None on a platform where none was made yet."""
    row = (await conn.execute(LIVE)).first()
    return _publication(row) if row else None


async def before(conn: AsyncConnection, rule_set: str) -> str | None:
    """The set that decided before `rule_set` was ever live."""
    found: str | None = await conn.scalar(BEFORE, {"live": rule_set})
    return found


async def history(conn: AsyncConnection, limit: int) -> Sequence[dict[str, Any]]:
    """Publications, newest first."""
    return [_publication(row).as_answer() for row in await conn.execute(HISTORY, {"limit": limit})]


async def lock(conn: AsyncConnection) -> None:
    """Wait for others who change what decides, until the transaction ends."""
    await conn.execute(LOCK_PUBLICATIONS)


async def document(conn: AsyncConnection, rule_set: str) -> dict[str, Any] | None:
    """The content of a set."""
    found: dict[str, Any] | None = await conn.scalar(DOCUMENT, {"hash": rule_set})
    return found


async def find(conn: AsyncConnection, rule_set: str) -> dict[str, Any] | None:
    """A set without its content."""
    row = (await conn.execute(ONE, {"hash": rule_set})).first()
    return _listed(row) if row else None


async def newest(conn: AsyncConnection, limit: int) -> Sequence[dict[str, Any]]:
    """Sets without their content, newest first."""
    return [_listed(row) for row in await conn.execute(LIST, {"limit": limit})]


async def pairs(conn: AsyncConnection, live: str, challenger: str, since: datetime) -> Sequence[Pair]:
    """What both sets said about the payments since then, whichever of them decided."""
    rows = await conn.execute(PAIRS, {"live": live, "challenger": challenger, "since": since})
    return [
        Pair(Decision(row.decision), Decision(row.other), row.number)
        if row.rule_set == live
        else Pair(Decision(row.other), Decision(row.decision), row.number)
        for row in rows
    ]


def _publication(row: Any) -> Publication:
    return Publication(
        row.id,
        row.rule_set,
        row.act,
        row.acted_by,
        row.challenger,
        row.challenger_share_bp,
        row.published_at,
    )


def _listed(row: Any) -> dict[str, Any]:
    return {
        "hash": row.hash,
        "object": "rule_set",
        "name": row.name,
        "status": _status(row),
        "rule_count": row.rule_count,
        "saved_by": row.saved_by,
        "approved_by": row.approved_by,
        "note": row.note,
        "created_at": isoformat(row.created_at),
        "approved_at": isoformat(row.approved_at) if row.approved_at else None,
        "published_at": isoformat(row.published_at) if row.published_at else None,
    }


def _status(row: Any) -> str:
    if row.is_live:
        return "live"
    if row.is_challenger:
        return "on_trial"
    if row.published_at:
        return "retired"
    if row.approved_by:
        return "approved"
    return "backtested" if row.is_backtested else "checked"
