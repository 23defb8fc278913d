"""Versions of the services: noted when they change, and read for the marks of charts."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.versions import Seen

LOCK = text("LOCK TABLE pipeline.service_version IN SHARE ROW EXCLUSIVE MODE")
LAST_TWO = text(
    """
    SELECT service, version, seen_at FROM (
        SELECT service, version, seen_at, row_number() OVER (PARTITION BY service ORDER BY seen_at DESC) AS place
        FROM pipeline.service_version
    ) AS placed WHERE place <= 2 ORDER BY service, seen_at DESC
    """
)
NOTE = text(
    """
    INSERT INTO pipeline.service_version (service, seen_at, version) VALUES (:service, :at, :version)
    ON CONFLICT DO NOTHING
    """
)
# The first version that was ever seen of a service is no deploy: it was there before somebody looked.
DEPLOYS = text(
    """
    SELECT service, version, before, seen_at FROM (
        SELECT service, version, seen_at, lag(version) OVER (PARTITION BY service ORDER BY seen_at) AS before
        FROM pipeline.service_version
    ) AS changed
    WHERE before IS NOT NULL AND seen_at >= :after AND seen_at < :until ORDER BY seen_at, service
    """
)


async def lock(conn: AsyncConnection) -> None:
    """Nobody else notes a version until this transaction ends: two would note one change twice."""
    await conn.execute(LOCK)


async def last_two(conn: AsyncConnection) -> dict[str, list[Seen]]:
    """Of each service, the newest first."""
    found: defaultdict[str, list[Seen]] = defaultdict(list)
    for row in await conn.execute(LAST_TWO):
        found[row.service].append(Seen(row.version, row.seen_at))
    return found


async def note(conn: AsyncConnection, service: str, version: str, at: datetime) -> None:
    """From now on it answers as this."""
    await conn.execute(NOTE, {"service": service, "version": version, "at": at})


async def deploys(conn: AsyncConnection, after: datetime, until: datetime) -> list[dict[str, Any]]:
    """Changes of versions in [after, until), oldest first, each with the version before it."""
    return [dict(row) for row in (await conn.execute(DEPLOYS, {"after": after, "until": until})).mappings()]
