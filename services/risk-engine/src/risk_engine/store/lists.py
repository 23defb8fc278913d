"""Lists and their entries. An entry is never edited: taking it off is a mark, so who was on a list when can be told."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat
from risk_engine.domain.lists import Entry, ListType

# Changes are numbered under this lock, so their numbers follow the order of commits: whoever has seen n missed none
# below it.
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('risk.list_entry'))")

ADD_LIST = text("""
    INSERT INTO risk.list (name, type, note, made_by) VALUES (:name, :type, :note, :made_by)
    ON CONFLICT (name) DO NOTHING RETURNING name
""")
FIND_LIST = text("SELECT name, type FROM risk.list WHERE name = :name")
LIST = text("""
    SELECT l.name, l.type, l.note, l.made_by, l.made_at,
           (SELECT count(*) FROM risk.list_entry e WHERE e.list = l.name AND e.removed_at IS NULL
            AND (e.expires_at IS NULL OR e.expires_at > now())) AS entry_count
    FROM risk.list l ORDER BY l.name
""")

TYPES = text("SELECT name, type FROM risk.list")

# By list_entry_current_idx: one current entry of an entity on a list.
ADD = text("""
    INSERT INTO risk.list_entry (list, entity, value, reason, added_by, expires_at)
    VALUES (:list, :entity, :value, :reason, :added_by, :expires_at)
    ON CONFLICT (list, entity) WHERE removed_at IS NULL DO NOTHING RETURNING id
""")
REMOVE = text("""
    UPDATE risk.list_entry SET removed_at = now(), removed_by = :removed_by, change = nextval('risk.list_entry_change_seq')
    WHERE id = :id AND list = :list AND removed_at IS NULL RETURNING id
""")  # noqa: E501
REMOVE_ENTITIES = text("""
    UPDATE risk.list_entry SET removed_at = now(), removed_by = :removed_by, change = nextval('risk.list_entry_change_seq')
    WHERE list = :list AND entity = ANY(CAST(:entities AS text[])) AND removed_at IS NULL
""")  # noqa: E501
CURRENT = text("""
    SELECT count(*) FROM risk.list_entry
    WHERE removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())
""")

_ENTRY = "id, list, value, reason, added_by, added_at, expires_at, removed_by, removed_at"
ENTRY = text(f"SELECT {_ENTRY} FROM risk.list_entry WHERE id = :id AND list = :list")  # noqa: S608 - our own columns
# By list_entry_list_id_idx.
PAGE = text(f"""
    SELECT {_ENTRY} FROM risk.list_entry WHERE list = :list AND id < :before AND (:all OR removed_at IS NULL)
    ORDER BY id DESC LIMIT :limit
""")  # noqa: S608

# By list_entry_change_key.
CHANGES = text("""
    SELECT e.change, e.list, l.type, e.entity, e.expires_at, e.removed_at IS NOT NULL AS is_removed
    FROM risk.list_entry e JOIN risk.list l ON l.name = e.list
    WHERE e.change > :after ORDER BY e.change LIMIT :limit
""")

# By list_entry_current_idx.
ENTITIES = text("""
    SELECT entity FROM risk.list_entry
    WHERE list = :list AND removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())
""")

# By assessment_listed_idx, whose rows are only those that a list spoke of.
HITS = text("""
    SELECT id, merchant_id, payment_id, decision, created_at FROM risk.assessment
    WHERE outcome -> 'lists' @> to_jsonb(CAST(:list AS text)) AND id < :before ORDER BY id DESC LIMIT :limit
""")

PRUNE = text("DELETE FROM risk.list_entry WHERE coalesce(removed_at, expires_at) < :before")


async def lock(conn: AsyncConnection) -> None:
    """Wait for others who change entries, until the transaction ends."""
    await conn.execute(LOCK)


async def add_list(conn: AsyncConnection, name: str, kind: ListType, note: str | None, made_by: str) -> bool:
    """Make a list; False when there is one of this name."""
    values = {"name": name, "type": kind.value, "note": note, "made_by": made_by}
    return await conn.scalar(ADD_LIST, values) is not None


async def type_of(conn: AsyncConnection, name: str) -> ListType | None:
    """The type of a list; None when there is none of this name."""
    row = (await conn.execute(FIND_LIST, {"name": name})).first()
    return ListType(row.type) if row else None


async def types(conn: AsyncConnection) -> dict[str, ListType]:
    """All lists by name."""
    return {row.name: ListType(row.type) for row in await conn.execute(TYPES)}


async def all_lists(conn: AsyncConnection) -> Sequence[dict[str, Any]]:
    """All lists by name, with how many are on each."""
    return [
        {
            "object": "list",
            "name": row.name,
            "fact": f"list_{row.name}",
            "type": row.type,
            "note": row.note,
            "made_by": row.made_by,
            "made_at": isoformat(row.made_at),
            "entry_count": row.entry_count,
        }
        for row in await conn.execute(LIST)
    ]


async def add(
    conn: AsyncConnection, name: str, entity: str, added_by: str, entry: dict[str, Any]
) -> int | None:
    """Bring an entity on a list; None when it is on it already. The caller holds the lock."""
    found: int | None = await conn.scalar(ADD, entry | {"list": name, "entity": entity, "added_by": added_by})
    return found


async def remove(conn: AsyncConnection, name: str, entry_id: int, removed_by: str) -> bool:
    """Take an entry off; False when it is off already or was never there. The caller holds the lock."""
    values = {"id": entry_id, "list": name, "removed_by": removed_by}
    return await conn.scalar(REMOVE, values) is not None


async def remove_entities(conn: AsyncConnection, name: str, entities: Sequence[str], removed_by: str) -> bool:
    """Take an entity off, by any of its forms, so that it can come on again under other terms; False when it was not
    on. The caller holds the lock."""
    values = {"list": name, "entities": list(entities), "removed_by": removed_by}
    return (await conn.execute(REMOVE_ENTITIES, values)).rowcount > 0


async def count_current(conn: AsyncConnection) -> int:
    """Entries on all lists together."""
    number: int = await conn.scalar(CURRENT) or 0
    return number


async def entry(conn: AsyncConnection, name: str, entry_id: int) -> dict[str, Any] | None:
    """One entry."""
    row = (await conn.execute(ENTRY, {"id": entry_id, "list": name})).first()
    return _entry(row) if row else None


async def page(
    conn: AsyncConnection, name: str, *, before: int, limit: int, with_removed: bool
) -> list[dict[str, Any]]:
    """Entries with ids below `before`, newest first."""
    values = {"list": name, "before": before, "limit": limit, "all": with_removed}
    return [_entry(row) for row in await conn.execute(PAGE, values)]


async def current_entities(conn: AsyncConnection, name: str) -> Sequence[str]:
    """Who is on a list now."""
    return (await conn.scalars(ENTITIES, {"list": name})).all()


async def changes(conn: AsyncConnection, after: int, limit: int) -> tuple[list[Entry], int]:
    """What was brought on or taken off since change `after`, and the number of the last."""
    rows = (await conn.execute(CHANGES, {"after": after, "limit": limit})).all()
    found = [Entry(row.list, ListType(row.type), row.entity, row.expires_at, row.is_removed) for row in rows]
    return found, rows[-1].change if rows else after


async def hits(conn: AsyncConnection, name: str, before: str, limit: int) -> list[dict[str, Any]]:
    """Assessments for which the list spoke, newest first."""
    rows = await conn.execute(HITS, {"list": name, "before": before, "limit": limit})
    return [
        {
            "assessment_id": row.id,
            "merchant_id": row.merchant_id,
            "payment_id": row.payment_id,
            "decision": row.decision,
            "created_at": isoformat(row.created_at),
        }
        for row in rows
    ]


async def prune(conn: AsyncConnection, before: datetime) -> int:
    """Forget entries that ended before a time; returns how many."""
    return (await conn.execute(PRUNE, {"before": before})).rowcount


def _entry(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "list_entry",
        "list": row.list,
        "value": row.value,
        "reason": row.reason,
        "added_by": row.added_by,
        "added_at": isoformat(row.added_at),
        "expires_at": isoformat(row.expires_at) if row.expires_at else None,
        "removed_by": row.removed_by,
        "removed_at": isoformat(row.removed_at) if row.removed_at else None,
    }
