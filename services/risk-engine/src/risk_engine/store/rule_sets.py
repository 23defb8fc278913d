"""Rule sets by content hash, and the publications whose newest row is the live one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat

INSERT = text("""
    INSERT INTO risk.rule_set (hash, name, document) VALUES (:hash, :name, CAST(:document AS jsonb))
    ON CONFLICT (hash) DO NOTHING
""")

PUBLISH = text("INSERT INTO risk.rule_set_publication (rule_set) VALUES (:hash) RETURNING id")

# One process publishes the packaged set; the others wait here and then see that there is one.
LOCK_PUBLICATIONS = text("SELECT pg_advisory_xact_lock(hashtext('risk.rule_set_publication'))")

# Index: the primary key, backwards.
LIVE = text("SELECT id, rule_set FROM risk.rule_set_publication ORDER BY id DESC LIMIT 1")

DOCUMENT = text("SELECT document FROM risk.rule_set WHERE hash = :hash").columns(document=JSONB)

# A page of a list that people keep short; the newest publication of each set by the foreign key's order of ids.
LIST = text("""
    SELECT s.hash, s.name, s.created_at, jsonb_array_length(s.document -> 'rules') AS rule_count,
           p.published_at, p.id IS NOT NULL AND p.id = (SELECT max(id) FROM risk.rule_set_publication) AS is_live
    FROM risk.rule_set s
    LEFT JOIN LATERAL (SELECT id, published_at FROM risk.rule_set_publication
                       WHERE rule_set = s.hash ORDER BY id DESC LIMIT 1) p ON true
    ORDER BY s.created_at DESC LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Publication:
    """The pointer: which set is live since which publication."""

    id: int
    rule_set: str


async def add(conn: AsyncConnection, rule_set: str, name: str, document: Mapping[str, Any]) -> None:
    """Store a set; the same content again changes nothing."""
    await conn.execute(INSERT, {"hash": rule_set, "name": name, "document": orjson.dumps(document).decode()})


async def publish(conn: AsyncConnection, rule_set: str) -> Publication:
    """Make a stored set live. The caller has checked that it exists."""
    await conn.execute(LOCK_PUBLICATIONS)
    row = (await conn.execute(PUBLISH, {"hash": rule_set})).one()
    return Publication(row.id, rule_set)


async def live(conn: AsyncConnection) -> Publication | None:
    """The newest publication; None on a platform where none was made yet."""
    row = (await conn.execute(LIVE)).first()
    return Publication(row.id, row.rule_set) if row else None


async def lock(conn: AsyncConnection) -> None:
    """Wait for other publishers until the transaction ends."""
    await conn.execute(LOCK_PUBLICATIONS)


async def document(conn: AsyncConnection, rule_set: str) -> dict[str, Any] | None:
    """The content of a set."""
    found: dict[str, Any] | None = await conn.scalar(DOCUMENT, {"hash": rule_set})
    return found


async def newest(conn: AsyncConnection, limit: int) -> Sequence[dict[str, Any]]:
    """Sets without their content, newest first."""
    return [
        {
            "hash": row.hash,
            "object": "rule_set",
            "name": row.name,
            "rule_count": row.rule_count,
            "is_live": row.is_live,
            "created_at": isoformat(row.created_at),
            "published_at": isoformat(row.published_at) if row.published_at else None,
        }
        for row in await conn.execute(LIST, {"limit": limit})
    ]
