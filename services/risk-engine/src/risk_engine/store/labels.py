"""Labels: added, never changed; read as they were known at a time."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat
from platform_kit.ids import new_id
from risk_engine.domain.labels import Label

# What was said before is not said again: by who does not tell when it became known, what the newest label of payment
# and source says of the same moment; by who does, the very same. Nothing else is left out, for after a label that comes
# in late with an earlier time there must stand what was said after it. The assessment of a payment that has ended is
# known by payment_outcome_pkey.
ADD = text("""
    INSERT INTO risk.label (id, payment_id, assessment_id, kind, source, event_at, labelled_at, actor)
    SELECT n.id, n.payment_id, coalesce(n.assessment_id, (
               SELECT o.assessment_id FROM risk.payment_outcome o
               WHERE o.payment_id = n.payment_id AND o.assessment_id IS NOT NULL LIMIT 1)),
           n.kind, n.source, n.event_at, coalesce(n.labelled_at, now()), n.actor
    FROM unnest(CAST(:id AS text[]), CAST(:payment_id AS text[]), CAST(:assessment_id AS text[]),
                CAST(:kind AS text[]), CAST(:source AS text[]), CAST(:event_at AS timestamptz[]),
                CAST(:labelled_at AS timestamptz[]), CAST(:actor AS text[]))
      AS n (id, payment_id, assessment_id, kind, source, event_at, labelled_at, actor)
    WHERE NOT CASE WHEN n.labelled_at IS NULL THEN coalesce((
              SELECT l.kind = n.kind AND l.event_at = n.event_at
              FROM risk.label l WHERE l.payment_id = n.payment_id AND l.source = n.source
              ORDER BY l.labelled_at DESC, l.id DESC LIMIT 1), false)
          ELSE EXISTS (
              SELECT FROM risk.label l WHERE l.payment_id = n.payment_id AND l.source = n.source
              AND l.labelled_at = n.labelled_at AND l.event_at = n.event_at AND l.kind = n.kind)
          END
    RETURNING id
""")

# What was known of a decision `a` at :known_at: of each source the newest by its own clock counts, whenever it came in;
# one that says fraud outweighs another that does not. Null when nothing was. By label_assessment_id_idx and
# label_payment_id_idx.
TRUTH = """
    SELECT bool_or(newest.kind = 'fraud') AS is_fraud, max(newest.labelled_at) AS labelled_at FROM (
        SELECT DISTINCT ON (l.source) l.kind, l.labelled_at FROM risk.label l
        WHERE (l.assessment_id = a.id OR (l.assessment_id IS NULL AND l.payment_id = a.payment_id))
          AND l.labelled_at <= :known_at
        ORDER BY l.source, l.labelled_at DESC, l.id DESC) newest
"""

# By label_pkey; the newer one of a payment and source by label_payment_id_idx.
_KNOWN = """
    SELECT l.id, l.payment_id, l.assessment_id, l.kind, l.source, l.event_at, l.labelled_at, l.actor,
           a.occurred_at AS payment_at
    FROM risk.label l LEFT JOIN risk.assessment a ON a.id = l.assessment_id
    WHERE l.id > :after AND l.labelled_at <= :known_at AND NOT EXISTS (
        SELECT 1 FROM risk.label newer
        WHERE newer.payment_id = l.payment_id AND newer.source = l.source AND newer.labelled_at <= :known_at
          AND (newer.labelled_at, newer.id) > (l.labelled_at, l.id))
"""

# By label_pkey and assessment_pkey; the other labels of a payment by label_payment_id_idx.
FRAUDS = text("""
    SELECT l.id AS label_id, a.merchant_id, a.idempotency_key, a.payment_id, a.request, EXISTS (
        SELECT 1 FROM risk.label said
        WHERE said.payment_id = l.payment_id AND said.kind = 'fraud' AND NOT EXISTS (
            SELECT 1 FROM risk.label newer
            WHERE newer.payment_id = said.payment_id AND newer.source = said.source
              AND (newer.labelled_at, newer.id) > (said.labelled_at, said.id))) AS stands
    FROM risk.label l JOIN risk.assessment a ON a.id = l.assessment_id
    WHERE l.id > :after AND (l.kind = 'fraud' OR EXISTS (
        SELECT 1 FROM risk.label said WHERE said.payment_id = l.payment_id AND said.kind = 'fraud'))
    ORDER BY l.id LIMIT :limit
""").columns(request=JSONB)

LAST_ID = text("SELECT coalesce(max(id), '') FROM risk.label")

# By assessment_pkey.
PAYMENTS_OF = text("SELECT id, payment_id FROM risk.assessment WHERE id = ANY(CAST(:ids AS text[]))")


async def add(conn: AsyncConnection, labels: Sequence[Label]) -> list[str | None]:
    """Keep labels; returns the id of each, None for one that says nothing new. What is said twice of a payment is
    compared in its order, as if it had come one after the other."""
    ids = [new_id("lbl") for _ in labels]
    added: set[str] = set()
    for turn in _turns(labels):
        said = [labels[at] for at in turn]
        values = {name: [getattr(label, name) for label in said] for name in _GIVEN}
        added |= {row.id for row in await conn.execute(ADD, {"id": [ids[at] for at in turn]} | values)}
    return [one if one in added else None for one in ids]


_GIVEN = ("payment_id", "assessment_id", "kind", "source", "event_at", "labelled_at", "actor")


def _turns(labels: Sequence[Label]) -> list[list[int]]:
    """Places in the batch, in as few statements as leave each payment and source at most once in one."""
    turns: list[list[int]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for at, label in enumerate(labels):
        turn = seen[label.payment_id, label.source]
        seen[label.payment_id, label.source] += 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(at)
    return turns


async def last_id(conn: AsyncConnection) -> str:
    """The newest label; "" when there is none."""
    found: str = await conn.scalar(LAST_ID)
    return found


async def known(
    conn: AsyncConnection,
    known_at: datetime,
    *,
    payment_id: str | None = None,
    source: str | None = None,
    after: str | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """The newest label of each payment and source as known at `known_at`, in order of their ids after `after`."""
    wanted = {"payment_id": payment_id, "source": source}
    given = {name: value for name, value in wanted.items() if value is not None}
    sql = " AND ".join((_KNOWN, *(f"l.{name} = :{name}" for name in given)))
    values = given | {"after": after or "", "known_at": known_at, "limit": limit}
    return [_shown(row) for row in await conn.execute(text(f"{sql} ORDER BY l.id LIMIT :limit"), values)]


async def frauds(conn: AsyncConnection, after: str, limit: int) -> Sequence[Any]:
    """Payments with a label above `after` that were called fraud, in order of the labels' ids; `stands` is False when
    every source has taken it back."""
    return (await conn.execute(FRAUDS, {"after": after, "limit": limit})).all()


async def payments_of(conn: AsyncConnection, assessment_ids: Sequence[str]) -> dict[str, str]:
    """Assessment -> its payment, for those that exist."""
    rows = await conn.execute(PAYMENTS_OF, {"ids": sorted(set(assessment_ids))})
    return {row.id: row.payment_id for row in rows}


def _shown(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "object": "label",
        "payment_id": row.payment_id,
        "assessment_id": row.assessment_id,
        "kind": row.kind,
        "source": row.source,
        "payment_at": isoformat(row.payment_at) if row.payment_at else None,
        "event_at": isoformat(row.event_at),
        "labelled_at": isoformat(row.labelled_at),
        "actor": row.actor,
    }
