"""Cases and their history: read, listed, and changed by people under the lock of their row.

Order of locks, so that nobody waits in a ring: rows of `case_entity` by key, then of `case_payment`, then cases by id.
Who works on a case locks that case alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from risk_engine.domain.cases import (
    Act,
    Case,
    CaseKind,
    CaseStatus,
    Verdict,
)
from risk_engine.domain.reviews import Priority

NAMES = [one.name for one in fields(Case)]
COLUMNS = ", ".join(NAMES)
_TYPES: Mapping[str, str] = {
    "amount_reference_minor": "bigint",
    "is_unsized": "boolean",
    "payment_count": "int",
    **dict.fromkeys(("opened_at", "due_at", "locked_until", "closed_at"), "timestamptz"),
}
UNNESTED = f"""unnest({", ".join(f"CAST(:{name} AS {_TYPES.get(name, 'text')}[])" for name in NAMES)})
                AS new ({COLUMNS})"""

# By primary key.
LOCK_UNCLOSED = text(f"""
    SELECT {COLUMNS} FROM risk.review_case
    WHERE id = ANY(CAST(:ids AS text[])) AND status <> 'closed' ORDER BY id FOR NO KEY UPDATE
""")  # noqa: S608 - our own column names

LOCK = text(f"SELECT {COLUMNS} FROM risk.review_case WHERE id = :id FOR NO KEY UPDATE")  # noqa: S608

FIND = text(f"SELECT {COLUMNS} FROM risk.review_case WHERE id = :id")  # noqa: S608

# By case_payment_pkey.
FIND_REVIEWED = text(f"""
    SELECT {COLUMNS} FROM risk.review_case
    WHERE id = (SELECT case_id FROM risk.case_payment WHERE assessment_id = :assessment_id)
""")  # noqa: S608

# By review_case_due_idx, which has nothing else in it.
COUNT_UNCLOSED = text("""
    SELECT count(*) AS waiting, count(*) FILTER (WHERE due_at < :now) AS overdue
    FROM risk.review_case WHERE status <> 'closed'
""")

# By primary key; the caller holds the locks.
SAVE = text(f"""
    UPDATE risk.review_case c SET {", ".join(f"{name} = new.{name}" for name in NAMES if name != "id")}
    FROM {UNNESTED} WHERE c.id = new.id
""")  # noqa: S608

RECORD_ACTS = text("""
    INSERT INTO risk.case_act (case_id, actor, kind, before, after, text)
    SELECT case_id, actor, kind, CAST(before AS jsonb), CAST(after AS jsonb), text
    FROM unnest(CAST(:case_id AS text[]), CAST(:actor AS text[]), CAST(:kind AS text[]), CAST(:before AS text[]),
                CAST(:after AS text[]), CAST(:text AS text[])) AS a (case_id, actor, kind, before, after, text)
""")

# By review_case_assignee_due_idx, in its order, the first that fits. SKIP LOCKED: two people who ask at once get two.
_FIRST = f"""
    SELECT {COLUMNS} FROM risk.review_case
    WHERE status <> 'closed' AND proposed_by IS DISTINCT FROM :actor
      AND barred IS DISTINCT FROM :actor AND {{of}}
    ORDER BY due_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""  # noqa: S608
HELD = text(_FIRST.format(of="assignee = :actor AND locked_by = :actor AND locked_until > :now"))
ASSIGNED = text(_FIRST.format(of="assignee = :actor"))
# By review_case_due_idx: what IS NULL finds in the other index would not come in its order, and be sorted.
FREE = text(_FIRST.format(of="coalesce(assignee, '') = ''"))

# By review_case_due_idx or review_case_assignee_due_idx.
_QUEUE = f"SELECT {COLUMNS} FROM risk.review_case WHERE status <> 'closed'"  # noqa: S608

# By review_case_status_id_idx.
_CLOSED = f"SELECT {COLUMNS} FROM risk.review_case WHERE status = 'closed'"  # noqa: S608

# By case_payment_case_id_idx and appeal_case_id_key. What the gateway held alone has no assessment; what is appealed
# was refused, or stands with the case in which it was reviewed.
PAYMENTS = text("""
    SELECT a.id AS assessment_id, p.payment_id, p.amount_minor, p.currency, p.added_at, p.payment_status, p.is_manual,
           a.score, a.request, a.outcome -> 'reasons' AS reasons
    FROM (
        SELECT assessment_id, payment_id, amount_minor, currency, added_at, payment_status, is_manual
        FROM risk.case_payment WHERE case_id = :id
        UNION ALL
        SELECT d.id, d.payment_id, CAST(d.request ->> 'amount_minor' AS bigint), d.request ->> 'currency', w.made_at,
               coalesce(r.payment_status, CASE d.decision WHEN 'block' THEN 'refused' ELSE 'unknown' END), false
        FROM risk.appeal w JOIN risk.assessment d ON d.id = w.assessment_id
        LEFT JOIN risk.case_payment r ON r.assessment_id = w.assessment_id
        WHERE w.case_id = :id
    ) p LEFT JOIN risk.assessment a ON a.id = p.assessment_id
    ORDER BY p.assessment_id
""").columns(request=JSONB, reasons=JSONB)

# By case_act_case_id_idx; the newest, in order of time.
ACTS = text("""
    SELECT id, at, actor, kind, before, after, text FROM (
        SELECT * FROM risk.case_act WHERE case_id = :id ORDER BY id DESC LIMIT :limit) newest
    ORDER BY id
""").columns(before=JSONB, after=JSONB)


def columns_of(cases: Sequence[Case]) -> dict[str, list[Any]]:
    return {name: [getattr(case, name) for case in cases] for name in NAMES}


def act_columns(acts: Sequence[Act]) -> dict[str, list[Any]]:
    columns = {name: [getattr(act, name) for act in acts] for name in ("case_id", "actor", "kind", "text")}
    for name in ("before", "after"):
        columns[name] = [orjson.dumps(getattr(act, name)).decode() for act in acts]
    return columns


def case_of(row: Any) -> Case:
    """The case of a row with all its columns."""
    values = {name: getattr(row, name) for name in NAMES}
    return Case(
        **values
        | {
            "status": CaseStatus(row.status),
            "priority": Priority(row.priority),
            "kind": CaseKind(row.kind),
            "verdict": row.verdict and Verdict(row.verdict),
            "proposed": row.proposed and Verdict(row.proposed),
        }
    )


async def lock(conn: AsyncConnection, case_id: str) -> Case | None:
    """The case under its lock: nobody changes it until the transaction ends."""
    row = (await conn.execute(LOCK, {"id": case_id})).first()
    return case_of(row) if row else None


async def lock_next(conn: AsyncConnection, actor: str, now: datetime) -> Case | None:
    """The most urgent case that is free or assigned to `actor`, under its lock; None when there is none. Who holds one
    already gets it again, so that a lost answer costs nothing."""
    if held := (await conn.execute(HELD, {"actor": actor, "now": now})).first():
        return case_of(held)
    found = [(await conn.execute(query, {"actor": actor})).first() for query in (ASSIGNED, FREE)]
    return min((case_of(row) for row in found if row), key=lambda case: (case.due_at, case.id), default=None)


async def save(conn: AsyncConnection, case: Case) -> None:
    """Write a case whose lock is held."""
    await conn.execute(SAVE, columns_of([case]))


async def record_acts(conn: AsyncConnection, acts: Sequence[Act]) -> None:
    """Add to the history."""
    if acts:
        await conn.execute(RECORD_ACTS, act_columns(acts))


async def count_unclosed(conn: AsyncConnection, now: datetime) -> dict[str, int]:
    """{"waiting": what is not closed, "overdue": what of it is past its time}."""
    row = (await conn.execute(COUNT_UNCLOSED, {"now": now})).one()
    return {"waiting": row.waiting, "overdue": row.overdue}


async def find(conn: AsyncConnection, case_id: str) -> Case | None:
    """One case."""
    row = (await conn.execute(FIND, {"id": case_id})).first()
    return case_of(row) if row else None


async def find_reviewed(conn: AsyncConnection, assessment_id: str) -> Case | None:
    """The case in which the payment of an assessment was reviewed."""
    row = (await conn.execute(FIND_REVIEWED, {"assessment_id": assessment_id})).first()
    return case_of(row) if row else None


async def payments_of(conn: AsyncConnection, case_id: str) -> Sequence[Any]:
    """The payments of a case, as rows of PAYMENTS: at most PAYMENTS_MAX and those of one flush."""
    return (await conn.execute(PAYMENTS, {"id": case_id})).all()


async def acts_of(conn: AsyncConnection, case_id: str, limit: int) -> Sequence[Any]:
    """The newest acts of a case, oldest of them first."""
    return (await conn.execute(ACTS, {"id": case_id, "limit": limit})).all()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which cases a list shows; without a status, all that are not closed."""

    status: CaseStatus | None = None
    assignee: str | None = None
    overdue_at: datetime | None = None  # only what was due before
    kind: CaseKind | None = None


async def page(conn: AsyncConnection, wanted: Filter, after: Case | None, limit: int) -> list[Case]:
    """Cases after the case `after`: what is not closed by urgency, what is closed newest first. A case that becomes due
    sooner while one pages is seen twice, never missed."""
    is_closed = wanted.status is CaseStatus.CLOSED
    conditions = {
        "status = :status": None if is_closed else wanted.status,
        "assignee = :assignee": wanted.assignee,
        "due_at < :overdue_at": wanted.overdue_at,
        "kind = :kind": wanted.kind,
        "id < :after" if is_closed else "(due_at, id) > (:after_due_at, :after)": after and after.id,
    }
    asked = [condition for condition, value in conditions.items() if value is not None]
    sql = " AND ".join((_CLOSED if is_closed else _QUEUE, *asked))
    values = {
        "status": wanted.status,
        "assignee": wanted.assignee,
        "overdue_at": wanted.overdue_at,
        "kind": wanted.kind,
        "after": after and after.id,
        "after_due_at": after and after.due_at,
        "limit": limit,
    }
    query = text(f"{sql} ORDER BY {'id DESC' if is_closed else 'due_at, id'} LIMIT :limit")
    rows = await conn.execute(query, {name: values[name] for name in query.compile().params})
    return [case_of(row) for row in rows]
