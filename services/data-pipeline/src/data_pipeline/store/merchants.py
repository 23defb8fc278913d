"""Merchants by version: which name, category and terms were in force when, whatever order events came in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.facts import MerchantVersion
from data_pipeline.domain.snapshot import Partition
from data_pipeline.store.arrays import arrays, insert_many
from data_pipeline.store.tables import merchant_version

_TOLD = tuple(field.name for field in fields(MerchantVersion))

# One writer at a time: what is in force when follows from all versions of a merchant, also another transaction's.
LOCK = text("LOCK TABLE pipeline.merchant_version IN SHARE ROW EXCLUSIVE MODE")
INSERT = insert_many(merchant_version, (*_TOLD, "valid_from"), "ON CONFLICT DO NOTHING")
# The order is that of commits. A version told by a slower clock than the one before it begins when that one did.
SET_IN_FORCE = text(
    """
    UPDATE pipeline.merchant_version AS v SET valid_from = f.valid_from, valid_to = f.valid_to
    FROM (
        SELECT merchant_id, position, valid_from,
               lead(valid_from) OVER (PARTITION BY merchant_id ORDER BY position) AS valid_to
        FROM (
            SELECT merchant_id, position,
                   max(told_at) OVER (PARTITION BY merchant_id ORDER BY position) AS valid_from
            FROM pipeline.merchant_version WHERE merchant_id = ANY(:merchant_ids)
        ) AS begun
    ) AS f
    WHERE (v.merchant_id, v.position) = (f.merchant_id, f.position)
      AND (v.valid_from, v.valid_to) IS DISTINCT FROM (f.valid_from, f.valid_to)
    """
)
DAYS = text(
    """
    SELECT DISTINCT CAST(told_at AT TIME ZONE 'UTC' AS date) AS day
    FROM pipeline.merchant_version WHERE merchant_id = ANY(:merchant_ids)
    """
)
NAMES = text(
    """
    SELECT DISTINCT ON (merchant_id) merchant_id, name FROM pipeline.merchant_version
    WHERE merchant_id = ANY(:merchant_ids) ORDER BY merchant_id, position DESC             -- merchant_version_pkey
    """
)

VERSIONS = text(
    """
    SELECT name, country, mcc, api_version, is_disabled, settlement_delay_days, settlement_currency, fee_plan,
           reserve_basis_points, reserve_days, position, valid_from, valid_to
    FROM pipeline.merchant_version WHERE merchant_id = :merchant_id
    ORDER BY position DESC LIMIT :limit                                                    -- merchant_version_pkey
    """
)
# Of each the version in force. Merchants are told of when somebody changes them: thousands, read whole.
CURRENT = text(
    """
    SELECT merchant_id, name, country, mcc, is_disabled, settlement_delay_days, settlement_currency,
           reserve_basis_points, reserve_days, valid_from
    FROM pipeline.merchant_version
    WHERE valid_to IS NULL AND (lower(name), merchant_id) > (:after_name, :after_id)
      AND (:wanted = '' OR strpos(lower(name), :wanted) > 0 OR strpos(merchant_id, :wanted) > 0)
    ORDER BY lower(name), merchant_id LIMIT :limit
    """
)


async def insert_versions(conn: AsyncConnection, versions: Sequence[MerchantVersion]) -> None:
    """Add what was told, and let each version end where the next one begins."""
    await conn.execute(LOCK)
    columns: dict[str, list[Any]] = arrays(versions, _TOLD)
    columns["fee_plan"] = [plan and orjson.dumps(plan).decode() for plan in columns["fee_plan"]]
    columns["valid_from"] = columns["told_at"]
    await conn.execute(INSERT, columns)
    await conn.execute(SET_IN_FORCE, {"merchant_ids": sorted(set(columns["merchant_id"]))})


async def partitions(conn: AsyncConnection, merchant_ids: Collection[str]) -> list[Partition]:
    """The days of the snapshot that hold versions of these merchants."""
    found = await conn.execute(DAYS, {"merchant_ids": sorted(merchant_ids)})
    return [Partition(merchant_version.name, day) for day in found.scalars()]


async def names(conn: AsyncConnection, merchant_ids: Iterable[str | None]) -> dict[str, str]:
    """What these merchants are called now, those that are known."""
    wanted = sorted({one for one in merchant_ids if one})
    if not wanted:
        return {}
    return {row.merchant_id: row.name for row in await conn.execute(NAMES, {"merchant_ids": wanted})}


async def versions(conn: AsyncConnection, merchant_id: str, limit: int) -> list[dict[str, Any]]:
    """What this merchant was, the newest first."""
    values = {"merchant_id": merchant_id, "limit": limit}
    return [dict(row) for row in (await conn.execute(VERSIONS, values)).mappings()]


async def current(
    conn: AsyncConnection, wanted: str, after: tuple[str, str] | None, limit: int
) -> list[dict[str, Any]]:
    """Merchants as they are now, by name, those after `after`; `wanted` is a part of the name or of the id."""
    name, merchant_id = after or ("", "")
    values = {"wanted": wanted.lower(), "after_name": name.lower(), "after_id": merchant_id, "limit": limit}
    return [dict(row) for row in (await conn.execute(CURRENT, values)).mappings()]
