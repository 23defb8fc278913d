"""The keys of subjects in and out of the vault."""

# ruff: noqa: S608 - the names in the statements are our own tables', never input

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.envelope import SealedKey
from payment_gateway.domain.personal_data import Named
from payment_gateway.store.vault.tables import subject as table

_SUBJECT = table.fullname

# subject_open_key, one look for each: told by LATERAL and LIMIT, since a planner that does not know yet how a table has
# grown joins it whole. A row that another process adds right now is in neither half; whoever misses it asks again.
FIND_OR_ADD = text(f"""
    WITH wanted AS (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
                 AS wanted (id text, merchant_id text, reference text, kek_id text, wrapped_key text)
    ), found AS MATERIALIZED (
        SELECT known.* FROM wanted CROSS JOIN LATERAL (
            SELECT reference, id, kek_id, wrapped_key FROM {_SUBJECT} AS subject
            WHERE subject.reference = wanted.reference AND closed_at IS NULL LIMIT 1) AS known
    ), added AS (
        INSERT INTO {_SUBJECT} (id, merchant_id, reference, kek_id, wrapped_key)
        SELECT id, merchant_id, reference, kek_id, decode(wrapped_key, 'base64') FROM wanted
        WHERE reference NOT IN (SELECT reference FROM found)
        ORDER BY reference
        ON CONFLICT (reference) WHERE closed_at IS NULL DO NOTHING
        RETURNING reference, id, kek_id, wrapped_key
    )
    SELECT reference, id, kek_id, wrapped_key FROM added
    UNION ALL
    SELECT reference, id, kek_id, wrapped_key FROM found""")
# subject_open_key
FIND = text(f"""
    SELECT reference, id, kek_id, wrapped_key FROM {_SUBJECT}
    WHERE reference = ANY(CAST(:references AS text[])) AND closed_at IS NULL""")
# subject_pkey; a token of another merchant's names nobody
OF_IDS = text(f"""
    SELECT known.merchant_id, known.id, kek_id, wrapped_key, closed_at IS NOT NULL AS is_closed
    FROM unnest(CAST(:merchants AS text[]), CAST(:ids AS text[])) AS named (merchant_id, id)
    JOIN {_SUBJECT} AS known ON known.id = named.id AND known.merchant_id = named.merchant_id
    WHERE wrapped_key IS NOT NULL""")
# subject_by_reference_idx
OF_REFERENCES = text(f"""
    SELECT id FROM {_SUBJECT} WHERE reference = ANY(CAST(:references AS text[])) ORDER BY id""")
CLOSE = text(f"""
    UPDATE {_SUBJECT} SET closed_at = now()
    WHERE id = ANY(CAST(:ids AS text[])) AND merchant_id = :merchant_id AND closed_at IS NULL""")
# With the key goes the reference: nothing is left that ties the token to a name, not even with our own keys.
ERASE = text(f"""
    UPDATE {_SUBJECT} SET kek_id = NULL, wrapped_key = NULL, reference = NULL, erased_at = now(),
           closed_at = COALESCE(closed_at, now())
    WHERE id = ANY(CAST(:ids AS text[])) AND merchant_id = :merchant_id AND erased_at IS NULL""")
# subject_by_kek_idx
LOCK_OLD = text(f"""
    SELECT id, kek_id, wrapped_key FROM {_SUBJECT} WHERE kek_id <> :newest ORDER BY id LIMIT :limit
    FOR UPDATE SKIP LOCKED""")
REWRAP = text(f"""
    UPDATE {_SUBJECT} SET kek_id = :kek_id, wrapped_key = :wrapped_key, rewrapped_at = now() WHERE id = :id""")
COUNT_BY_KEK = text(f"""
    SELECT kek_id, count(*) AS subjects FROM {_SUBJECT} WHERE kek_id IS NOT NULL GROUP BY kek_id""")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose key is wanted, and the one that they get if they have none."""

    merchant_id: str
    reference: str
    new: SealedKey


@dataclass(frozen=True, slots=True)
class Held:
    """A merchant's subject with its key; a closed one is on its way to be erased."""

    merchant_id: str
    key: SealedKey
    is_closed: bool


async def find_or_add(conn: AsyncConnection, wanted: Sequence[Wanted]) -> Mapping[str, SealedKey]:
    """Reference -> its open subject's key. One may be missing: another process is just adding it."""
    rows = {
        one.reference: {
            "id": one.new.id,
            "merchant_id": one.merchant_id,
            "reference": one.reference,
            "kek_id": one.new.kek_id,
            "wrapped_key": base64.b64encode(one.new.wrapped_key).decode(),
        }
        for one in wanted
    }
    found = await conn.execute(FIND_OR_ADD, {"rows": orjson.dumps(list(rows.values())).decode()})
    return {row.reference: _key(row) for row in found}


async def find(conn: AsyncConnection, references: Collection[str]) -> Mapping[str, SealedKey]:
    """Reference -> its open subject's key, of those that have one."""
    found = await conn.execute(FIND, {"references": sorted(references)})
    return {row.reference: _key(row) for row in found}


async def of_ids(conn: AsyncConnection, named: Collection[Named]) -> Sequence[Held]:
    """The keys that are still there, of subjects that are their merchant's."""
    merchants, ids = zip(*sorted(named), strict=True)
    found = await conn.execute(OF_IDS, {"merchants": list(merchants), "ids": list(ids)})
    return [Held(row.merchant_id, _key(row), row.is_closed) for row in found]


async def of_references(conn: AsyncConnection, references: Collection[str]) -> Sequence[str]:
    """The ids of subjects with these references, closed ones too, erased ones not."""
    return [row.id for row in await conn.execute(OF_REFERENCES, {"references": sorted(references)})]


async def close(conn: AsyncConnection, merchant_id: str, ids: Collection[str]) -> None:
    await conn.execute(CLOSE, {"merchant_id": merchant_id, "ids": sorted(ids)})


async def erase(conn: AsyncConnection, merchant_id: str, ids: Collection[str]) -> None:
    await conn.execute(ERASE, {"merchant_id": merchant_id, "ids": sorted(ids)})


async def lock_old(conn: AsyncConnection, newest: str, limit: int) -> Sequence[SealedKey]:
    """Keys that are wrapped with another one than the newest, locked; those of another run are left out."""
    return [_key(row) for row in await conn.execute(LOCK_OLD, {"newest": newest, "limit": limit})]


async def rewrap(conn: AsyncConnection, keys: Sequence[SealedKey]) -> None:
    rows = [{"id": key.id, "kek_id": key.kek_id, "wrapped_key": key.wrapped_key} for key in keys]
    await conn.execute(REWRAP, rows)


async def count_by_kek(conn: AsyncConnection) -> Mapping[str, int]:
    """How many subjects each key-encryption key holds."""
    return {row.kek_id: row.subjects for row in await conn.execute(COUNT_BY_KEK)}


def _key(row: Row[Any]) -> SealedKey:
    return SealedKey(row.id, row.kek_id, bytes(row.wrapped_key))
