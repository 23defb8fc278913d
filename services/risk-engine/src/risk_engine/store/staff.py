"""People and the hashes of their tokens."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat
from risk_engine.domain.staff import Actor, Role

ADD = text("""
    INSERT INTO risk.staff (id, name, role, token_hash) VALUES (:id, :name, :role, :token_hash)
    ON CONFLICT (name) WHERE ended_at IS NULL DO NOTHING RETURNING id, name, role, created_at, ended_at
""")

# By staff_token_hash_key.
FIND = text("SELECT name, role FROM risk.staff WHERE token_hash = :token_hash AND ended_at IS NULL")

# By staff_name_idx.
ROLE_OF = text("SELECT role FROM risk.staff WHERE name = :name AND ended_at IS NULL")

END = text("""
    UPDATE risk.staff SET ended_at = coalesce(ended_at, now()) WHERE id = :id
    RETURNING id, name, role, created_at, ended_at
""")

LIST = text("SELECT id, name, role, created_at, ended_at FROM risk.staff ORDER BY id DESC LIMIT :limit")


async def add(
    conn: AsyncConnection, staff_id: str, name: str, role: Role, token_hash: bytes
) -> dict[str, Any] | None:
    """Keep a person; None when somebody who has not ended has the name already."""
    values = {"id": staff_id, "name": name, "role": role.value, "token_hash": token_hash}
    row = (await conn.execute(ADD, values)).first()
    return _shown(row) if row else None


async def find(conn: AsyncConnection, token_hash: bytes) -> Actor | None:
    """Whose token it is, while they are with us."""
    row = (await conn.execute(FIND, {"token_hash": token_hash})).first()
    return Actor(row.name, Role(row.role)) if row else None


async def role_of(conn: AsyncConnection, name: str) -> Role | None:
    """The role of whoever has this name now."""
    role = await conn.scalar(ROLE_OF, {"name": name})
    return Role(role) if role else None


async def end(conn: AsyncConnection, staff_id: str) -> dict[str, Any] | None:
    """End a person's token; the first time counts. None for an unknown id."""
    row = (await conn.execute(END, {"id": staff_id})).first()
    return _shown(row) if row else None


async def newest(conn: AsyncConnection, limit: int) -> Sequence[dict[str, Any]]:
    """Everybody, also those who have ended, newest first."""
    return [_shown(row) for row in await conn.execute(LIST, {"limit": limit})]


def _shown(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "staff",
        "name": row.name,
        "role": row.role,
        "created_at": isoformat(row.created_at),
        "ended_at": isoformat(row.ended_at) if row.ended_at else None,
    }
