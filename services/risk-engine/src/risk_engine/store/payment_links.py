"""Which payments share a card, a customer, a device, an address or an e-mail: made from the engine's own events, off
the way of a decision, and kept for a month."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

ADD = text("""
    INSERT INTO risk.payment_link (entity, occurred_at, assessment_id)
    SELECT * FROM unnest(CAST(:entity AS text[]), CAST(:occurred_at AS timestamptz[]), CAST(:assessment_id AS text[]))
    ON CONFLICT DO NOTHING
""")

# For each entity the newest, by payment_link_pkey backwards; each assessment by its primary key.
RELATED = text("""
    SELECT link.entity, a.id, a.payment_id, a.merchant_id, a.decision, a.score, a.request
    FROM unnest(CAST(:entities AS text[])) AS wanted (entity)
    CROSS JOIN LATERAL (
        SELECT l.entity, l.occurred_at, l.assessment_id FROM risk.payment_link l
        WHERE l.entity = wanted.entity AND l.occurred_at > :since
        ORDER BY l.occurred_at DESC, l.assessment_id DESC LIMIT :each) link
    JOIN risk.assessment a ON a.id = link.assessment_id
    WHERE a.id <> ALL (CAST(:without AS text[]))
    ORDER BY link.occurred_at DESC, a.id, link.entity
""").columns(request=JSONB)

# By payment_link_occurred_at_idx.
PRUNE = text("DELETE FROM risk.payment_link WHERE occurred_at < :before")


async def add(conn: AsyncConnection, links: Sequence[tuple[str, datetime, str]]) -> None:
    """Keep (entity, time of the payment, assessment); what is known changes nothing."""
    if links:
        columns = zip(*links, strict=True)
        names = ("entity", "occurred_at", "assessment_id")
        await conn.execute(ADD, {name: list(column) for name, column in zip(names, columns, strict=True)})


async def related(
    conn: AsyncConnection,
    entities: Sequence[str],
    since: datetime,
    *,
    each: int,
    without: Sequence[str],
) -> Sequence[Any]:
    """Rows of RELATED: the newest `each` of every entity, but for the assessments `without`."""
    values: Mapping[str, Any] = {
        "entities": list(entities),
        "since": since,
        "each": each,
        "without": list(without),
    }
    return (await conn.execute(RELATED, values)).all()


async def prune(conn: AsyncConnection, before: datetime) -> int:
    """Forget links older than `before`; returns how many."""
    return (await conn.execute(PRUNE, {"before": before})).rowcount
