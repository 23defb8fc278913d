"""Cases: opened in the flush of the assessments that want one, changed by people under the lock of their row.

Order of locks, so that nobody waits in a ring: rows of `case_entity` by key, then of `case_payment`, then cases by id.
Who works on a case locks that case alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit import outbox
from platform_kit.events import Event
from platform_kit.ids import new_id
from platform_kit.writes import Writes
from risk_engine.domain.cases import (
    ENDED,
    PAYMENTS_MAX,
    Act,
    Case,
    CaseStatus,
    PaymentStatus,
    Priority,
    Review,
    Verdict,
    act_of,
    grouped,
    opened,
    payment_entity,
    with_payments,
)
from risk_engine.domain.staff import ENGINE
from risk_engine.store import tables
from risk_engine.store.case_events import OPENED, UPDATED, case_event

_NAMES = [one.name for one in fields(Case)]
_COLUMNS = ", ".join(_NAMES)
_TYPES: Mapping[str, str] = {
    "amount_reference_minor": "bigint",
    "is_unsized": "boolean",
    "payment_count": "int",
    **dict.fromkeys(("opened_at", "due_at", "locked_until", "closed_at"), "timestamptz"),
}
_UNNESTED = f"""unnest({", ".join(f"CAST(:{name} AS {_TYPES.get(name, 'text')}[])" for name in _NAMES)})
                AS new ({_COLUMNS})"""

# DO UPDATE changes nothing: it locks the row that is there and gives it back. Keys come sorted.
CLAIM_ENTITIES = text("""
    INSERT INTO risk.case_entity (merchant_id, entity, case_id)
    SELECT * FROM unnest(CAST(:merchant_id AS text[]), CAST(:entity AS text[]), CAST(:case_id AS text[]))
    ON CONFLICT (merchant_id, entity) DO UPDATE SET case_id = case_entity.case_id
    RETURNING merchant_id, entity, case_id
""")

# The rows are locked by CLAIM_ENTITIES already.
POINT_ENTITIES = text("""
    UPDATE risk.case_entity e SET case_id = new.case_id
    FROM unnest(CAST(:merchant_id AS text[]), CAST(:entity AS text[]), CAST(:case_id AS text[]))
      AS new (merchant_id, entity, case_id)
    WHERE e.merchant_id = new.merchant_id AND e.entity = new.entity
""")

# By primary key.
LOCK_UNCLOSED = text(f"""
    SELECT {_COLUMNS} FROM risk.review_case
    WHERE id = ANY(CAST(:ids AS text[])) AND status <> 'closed' ORDER BY id FOR NO KEY UPDATE
""")  # noqa: S608 - our own column names

# What a flush asks: a case that somebody writes at this moment takes no payment, for a whole batch of decisions would
# wait for that person's transaction.
LOCK_FREE = text(f"{LOCK_UNCLOSED.text} SKIP LOCKED")

LOCK = text(f"SELECT {_COLUMNS} FROM risk.review_case WHERE id = :id FOR NO KEY UPDATE")  # noqa: S608

FIND = text(f"SELECT {_COLUMNS} FROM risk.review_case WHERE id = :id")  # noqa: S608

# By review_case_due_idx, which has nothing else in it.
COUNT_UNCLOSED = text("""
    SELECT count(*) AS waiting, count(*) FILTER (WHERE due_at < :now) AS overdue
    FROM risk.review_case WHERE status <> 'closed'
""")

OPEN = text(f"INSERT INTO risk.review_case ({_COLUMNS}) SELECT * FROM {_UNNESTED}")  # noqa: S608

# By primary key; the caller holds the locks.
SAVE = text(f"""
    UPDATE risk.review_case c SET {", ".join(f"{name} = new.{name}" for name in _NAMES if name != "id")}
    FROM {_UNNESTED} WHERE c.id = new.id
""")  # noqa: S608

ADD_PAYMENTS = text("""
    INSERT INTO risk.case_payment (assessment_id, case_id, payment_id, amount_minor, currency, added_at)
    SELECT * FROM unnest(
        CAST(:assessment_id AS text[]), CAST(:case_id AS text[]), CAST(:payment_id AS text[]),
        CAST(:amount_minor AS bigint[]), CAST(:currency AS text[]), CAST(:opened_at AS timestamptz[]))
""")

RECORD_ACTS = text("""
    INSERT INTO risk.case_act (case_id, actor, kind, before, after, text)
    SELECT case_id, actor, kind, CAST(before AS jsonb), CAST(after AS jsonb), text
    FROM unnest(CAST(:case_id AS text[]), CAST(:actor AS text[]), CAST(:kind AS text[]), CAST(:before AS text[]),
                CAST(:after AS text[]), CAST(:text AS text[])) AS a (case_id, actor, kind, before, after, text)
""")

# By review_case_assignee_due_idx, in its order, the first that fits. SKIP LOCKED: two people who ask at once get two.
_FIRST = f"""
    SELECT {_COLUMNS} FROM risk.review_case
    WHERE status <> 'closed' AND proposed_by IS DISTINCT FROM :actor AND {{of}}
    ORDER BY due_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""  # noqa: S608
HELD = text(_FIRST.format(of="assignee = :actor AND locked_by = :actor AND locked_until > :now"))
ASSIGNED = text(_FIRST.format(of="assignee = :actor"))
# By review_case_due_idx: what IS NULL finds in the other index would not come in its order, and be sorted.
FREE = text(_FIRST.format(of="coalesce(assignee, '') = ''"))

# By review_case_due_idx or review_case_assignee_due_idx.
_QUEUE = f"SELECT {_COLUMNS} FROM risk.review_case WHERE status <> 'closed'"  # noqa: S608

# By review_case_status_id_idx.
_CLOSED = f"SELECT {_COLUMNS} FROM risk.review_case WHERE status = 'closed'"  # noqa: S608

# By case_payment_case_id_idx. What the gateway held alone has no assessment.
PAYMENTS = text("""
    SELECT a.id AS assessment_id, p.payment_id, p.amount_minor, p.currency, p.added_at, p.payment_status, p.is_manual,
           a.score, a.request, a.outcome -> 'reasons' AS reasons
    FROM risk.case_payment p LEFT JOIN risk.assessment a ON a.id = p.assessment_id
    WHERE p.case_id = :id ORDER BY p.assessment_id
""").columns(request=JSONB, reasons=JSONB)

# By case_act_case_id_idx; the newest, in order of time.
ACTS = text("""
    SELECT id, at, actor, kind, before, after, text FROM (
        SELECT * FROM risk.case_act WHERE case_id = :id ORDER BY id DESC LIMIT :limit) newest
    ORDER BY id
""").columns(before=JSONB, after=JSONB)

# By primary key, or by case_payment_payment_id_idx where the gateway decided alone. A payment that was sent again after
# a lost answer has another id than the one that was assessed: it is known by its assessment, and the case learns its
# id. An event that comes late changes nothing.
MOVE_PAYMENTS = text("""
    UPDATE risk.case_payment p
    SET payment_status = new.status, payment_version = new.version, is_manual = new.is_manual,
        payment_id = new.payment_id
    FROM unnest(CAST(:payment_id AS text[]), CAST(:assessment_id AS text[]), CAST(:status AS text[]),
                CAST(:version AS int[]), CAST(:is_manual AS boolean[]))
      AS new (payment_id, assessment_id, status, version, is_manual)
    WHERE p.assessment_id = coalesce(
            (SELECT one.assessment_id FROM risk.case_payment one WHERE one.assessment_id = new.assessment_id),
            (SELECT one.assessment_id FROM risk.case_payment one WHERE one.payment_id = new.payment_id LIMIT 1))
      AND p.payment_version < new.version
    RETURNING p.case_id
""")

# Of these cases, locked already, those in which no payment can be taken or given up any more. A statement of its own:
# one that waits for a row's lock looks again at the row, and not at the payments that were added meanwhile.
WITHOUT_MONEY = text("""
    SELECT c.id FROM unnest(CAST(:ids AS text[])) AS c (id)
    WHERE NOT EXISTS (SELECT 1 FROM risk.case_payment p
                      WHERE p.case_id = c.id AND p.payment_status <> ALL (CAST(:ended AS text[])))
""")

# By case_payment_payment_id_idx. A payment that the gateway held alone and that was assessed too late is one payment of
# one case, whichever came first: its row becomes the assessment's. The caller has claimed the payments.
MEET = text("""
    UPDATE risk.case_payment p
    SET assessment_id = CASE WHEN p.assessment_id = p.payment_id THEN new.assessment_id ELSE p.assessment_id END
    FROM unnest(CAST(:assessment_id AS text[]), CAST(:payment_id AS text[])) AS new (assessment_id, payment_id)
    WHERE p.payment_id = new.payment_id AND p.payment_id IN (p.assessment_id, new.assessment_id)
    RETURNING p.payment_id
""")

# By case_payment_payment_id_idx.
IN_CASES = text("SELECT payment_id FROM risk.case_payment WHERE payment_id = ANY(CAST(:ids AS text[]))")

# SKIP LOCKED: an assessment that looks at such a row just now keeps it.
FORGET_ENTITIES = text("""
    DELETE FROM risk.case_entity d USING (
        SELECT e.merchant_id, e.entity FROM risk.case_entity e JOIN risk.review_case c ON c.id = e.case_id
        WHERE c.closed_at < :before ORDER BY e.merchant_id, e.entity LIMIT 5000
        FOR UPDATE OF e SKIP LOCKED) old
    WHERE d.merchant_id = old.merchant_id AND d.entity = old.entity
""")


@dataclass(frozen=True, slots=True)
class Moved:
    """How a payment stands now, by one of the gateway's events; `version` grows with each of its changes."""

    payment_id: str
    assessment_id: str | None  # None: the gateway decided alone
    status: PaymentStatus
    version: int
    is_manual: bool


async def open_or_append(conn: AsyncConnection, reviews: Sequence[Review], writes: Writes) -> list[Event]:
    """Put each payment into the unclosed case of its card or customer, or into a new one: what there is to write joins
    the caller's `writes`, what there is to tell is returned. One round trip when nothing is known of them, which is the
    rule; two more otherwise. Never waits for a case: one that is locked is left alone, the payment opens another."""
    groups = [(new_id("cas"), group) for group in grouped(reviews)]
    candidates = {case_id for case_id, _ in groups}
    found = await _claim(conn, groups)
    known = set(found.values()) - candidates
    again = [one for one in reviews if found[one.merchant_id, payment_entity(one.payment_id)] in known]
    met = await _meet(conn, again) if again else set()
    unclosed = await _lock_free(conn, known) if known else {}
    gathered: dict[str, list[Review]] = {}
    repointed: list[tuple[str, str, str]] = []
    for candidate, group in groups:
        keys = _keys(group)
        earlier = {found[key] for key in keys} - candidates
        if added := [one for one in group if one.payment_id not in met]:
            target = min(earlier & unclosed.keys(), default=candidate)
            gathered.setdefault(target, []).extend(added)
        else:
            target = min(earlier & unclosed.keys() or earlier)
        repointed += [(*key, target) for key in keys if found[key] != target]
    if repointed:
        await conn.execute(POINT_ENTITIES, _entity_columns(repointed))
    return _write(writes, unclosed, gathered)


def _keys(group: Iterable[Review]) -> list[tuple[str, str]]:
    return sorted({(one.merchant_id, entity) for one in group for entity in one.entities})


async def _claim(
    conn: AsyncConnection, groups: Sequence[tuple[str, list[Review]]]
) -> dict[tuple[str, str], str]:
    """The case that each entity points to: an earlier one, or the candidate of its group."""
    claimed = sorted((*key, case_id) for case_id, group in groups for key in _keys(group))
    if not claimed:
        return {}
    rows = await conn.execute(CLAIM_ENTITIES, _entity_columns(claimed))
    return {(row.merchant_id, row.entity): row.case_id for row in rows}


async def _meet(conn: AsyncConnection, reviews: Sequence[Review]) -> set[str]:
    """Payments among them that are in a case already, as a hold or by a late assessment."""
    columns = {name: [getattr(one, name) for one in reviews] for name in ("assessment_id", "payment_id")}
    return set(await conn.scalars(MEET, columns))


def _entity_columns(rows: Sequence[tuple[str, str, str]]) -> dict[str, list[str]]:
    return {name: [row[n] for row in rows] for n, name in enumerate(("merchant_id", "entity", "case_id"))}


async def _lock_free(conn: AsyncConnection, case_ids: Iterable[str]) -> dict[str, Case]:
    rows = await conn.execute(LOCK_FREE, {"ids": sorted(case_ids)})
    cases = map(case_of, rows)
    return {case.id: case for case in cases if case.payment_count < PAYMENTS_MAX}


def _write(writes: Writes, unclosed: Mapping[str, Case], gathered: Mapping[str, list[Review]]) -> list[Event]:
    grown = {
        case_id: with_payments(unclosed[case_id], gathered[case_id])
        for case_id in gathered
        if case_id in unclosed
    }
    new = [opened(case_id, reviews) for case_id, reviews in gathered.items() if case_id not in unclosed]
    acts = [act_of(ENGINE, "payments_added", unclosed[case.id], case) for case in grown.values()]
    acts += [Act(case.id, ENGINE, "opened", after={"payment_count": case.payment_count}) for case in new]
    if new:
        writes.add(OPEN, _case_columns(new))
    if grown:
        writes.add(SAVE, _case_columns(list(grown.values())), rows=len(grown))
    writes.add(ADD_PAYMENTS, _payment_columns(gathered))
    writes.add(RECORD_ACTS, _act_columns(acts))
    told = [case_event(OPENED, case, case.opened_at) for case in new]
    told += [
        case_event(UPDATED, case, max(one.opened_at for one in gathered[case.id])) for case in grown.values()
    ]
    return told


def _case_columns(cases: Sequence[Case]) -> dict[str, list[Any]]:
    return {name: [getattr(case, name) for case in cases] for name in _NAMES}


def _payment_columns(gathered: Mapping[str, list[Review]]) -> dict[str, list[Any]]:
    pairs = [(case_id, review) for case_id, reviews in gathered.items() for review in reviews]
    names = ("assessment_id", "payment_id", "amount_minor", "currency", "opened_at")
    return {
        "case_id": [case_id for case_id, _ in pairs],
        **{name: [getattr(review, name) for _, review in pairs] for name in names},
    }


def _act_columns(acts: Sequence[Act]) -> dict[str, list[Any]]:
    columns = {name: [getattr(act, name) for act in acts] for name in ("case_id", "actor", "kind", "text")}
    for name in ("before", "after"):
        columns[name] = [orjson.dumps(getattr(act, name)).decode() for act in acts]
    return columns


def case_of(row: Any) -> Case:
    """The case of a row with all its columns."""
    values = {name: getattr(row, name) for name in _NAMES}
    return Case(
        **values
        | {
            "status": CaseStatus(row.status),
            "priority": Priority(row.priority),
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
    await conn.execute(SAVE, _case_columns([case]))


async def record_acts(conn: AsyncConnection, acts: Sequence[Act]) -> None:
    """Add to the history."""
    if acts:
        await conn.execute(RECORD_ACTS, _act_columns(acts))


async def count_unclosed(conn: AsyncConnection, now: datetime) -> dict[str, int]:
    """{"waiting": what is not closed, "overdue": what of it is past its time}."""
    row = (await conn.execute(COUNT_UNCLOSED, {"now": now})).one()
    return {"waiting": row.waiting, "overdue": row.overdue}


async def find(conn: AsyncConnection, case_id: str) -> Case | None:
    """One case."""
    row = (await conn.execute(FIND, {"id": case_id})).first()
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


async def page(conn: AsyncConnection, wanted: Filter, after: Case | None, limit: int) -> list[Case]:
    """Cases after the case `after`: what is not closed by urgency, what is closed newest first. A case that becomes due
    sooner while one pages is seen twice, never missed."""
    is_closed = wanted.status is CaseStatus.CLOSED
    conditions = {
        "status = :status": None if is_closed else wanted.status,
        "assignee = :assignee": wanted.assignee,
        "due_at < :overdue_at": wanted.overdue_at,
        "id < :after" if is_closed else "(due_at, id) > (:after_due_at, :after)": after and after.id,
    }
    asked = [condition for condition, value in conditions.items() if value is not None]
    sql = " AND ".join((_CLOSED if is_closed else _QUEUE, *asked))
    values = {
        "status": wanted.status,
        "assignee": wanted.assignee,
        "overdue_at": wanted.overdue_at,
        "after": after and after.id,
        "after_due_at": after and after.due_at,
        "limit": limit,
    }
    query = text(f"{sql} ORDER BY {'id DESC' if is_closed else 'due_at, id'} LIMIT :limit")
    rows = await conn.execute(query, {name: values[name] for name in query.compile().params})
    return [case_of(row) for row in rows]


async def move_payments(conn: AsyncConnection, moved: Sequence[Moved]) -> Sequence[Case]:
    """Note how payments of cases stand; returns, under their locks, the unclosed cases in which nothing is left to
    decide. `moved` has each payment once."""
    ordered = sorted(moved, key=lambda one: one.payment_id)
    columns = [asdict(one) for one in ordered]
    names = ("payment_id", "assessment_id", "status", "version", "is_manual")
    values = {name: [one[name] for one in columns] for name in names}
    touched = {row.case_id for row in await conn.execute(MOVE_PAYMENTS, values)}
    if not touched:
        return []
    unclosed = {row.id: row for row in await conn.execute(LOCK_UNCLOSED, {"ids": sorted(touched)})}
    ended = await conn.scalars(WITHOUT_MONEY, {"ids": sorted(unclosed), "ended": sorted(ENDED)})
    return [case_of(unclosed[case_id]) for case_id in sorted(ended)]


async def open_once(conn: AsyncConnection, reviews: Sequence[Review]) -> int:
    """As `open_or_append`, for payments that are in no case yet; returns how many. One writer at a time."""
    known = set(await conn.scalars(IN_CASES, {"ids": [one.payment_id for one in reviews]}))
    new = [one for one in reviews if one.payment_id not in known]
    if new:
        writes = Writes()
        told = await open_or_append(conn, new, writes)
        writes.add(*outbox.appending(tables.outbox, told))
        await writes.run(conn)
    return len(new)


async def forget_entities(conn: AsyncConnection, before: datetime) -> int:
    """Forget to which case cards and customers belonged that was closed before; returns how many."""
    return (await conn.execute(FORGET_ENTITIES, {"before": before})).rowcount
