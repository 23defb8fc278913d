"""Where a payment that a person is to look at goes: into the unclosed case of its payer, or into a new one, in the
flush of its assessment or with the event of its hold. The order of locks is that of store/cases.py."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit import outbox
from platform_kit.events import Event
from platform_kit.ids import new_id
from platform_kit.writes import Writes
from risk_engine.domain.cases import PAYMENTS_MAX, Act, Case, act_of, opened, with_payments
from risk_engine.domain.reviews import Review, grouped, payment_entity
from risk_engine.domain.staff import ENGINE
from risk_engine.store import tables
from risk_engine.store.case_events import OPENED, UPDATED, case_event
from risk_engine.store.cases import (
    COLUMNS,
    LOCK_UNCLOSED,
    RECORD_ACTS,
    SAVE,
    UNNESTED,
    act_columns,
    case_of,
    columns_of,
)

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

# What a flush asks: a case that somebody writes at this moment takes no payment, for a whole batch of decisions would
# wait for that person's transaction.
LOCK_FREE = text(f"{LOCK_UNCLOSED.text} SKIP LOCKED")

OPEN = text(f"INSERT INTO risk.review_case ({COLUMNS}) SELECT * FROM {UNNESTED}")  # noqa: S608

ADD_PAYMENTS = text("""
    INSERT INTO risk.case_payment (assessment_id, case_id, payment_id, amount_minor, currency, added_at)
    SELECT * FROM unnest(
        CAST(:assessment_id AS text[]), CAST(:case_id AS text[]), CAST(:payment_id AS text[]),
        CAST(:amount_minor AS bigint[]), CAST(:currency AS text[]), CAST(:opened_at AS timestamptz[]))
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
        writes.add(OPEN, columns_of(new))
    if grown:
        writes.add(SAVE, columns_of(list(grown.values())), rows=len(grown))
    writes.add(ADD_PAYMENTS, _payment_columns(gathered))
    writes.add(RECORD_ACTS, act_columns(acts))
    told = [case_event(OPENED, case, case.opened_at) for case in new]
    told += [
        case_event(UPDATED, case, max(one.opened_at for one in gathered[case.id])) for case in grown.values()
    ]
    return told


async def open_case(conn: AsyncConnection, case: Case) -> None:
    """Keep a case that gathers nothing."""
    await conn.execute(OPEN, columns_of([case]))


def _payment_columns(gathered: Mapping[str, list[Review]]) -> dict[str, list[Any]]:
    pairs = [(case_id, review) for case_id, reviews in gathered.items() for review in reviews]
    names = ("assessment_id", "payment_id", "amount_minor", "currency", "opened_at")
    return {
        "case_id": [case_id for case_id, _ in pairs],
        **{name: [getattr(review, name) for _, review in pairs] for name in names},
    }


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
