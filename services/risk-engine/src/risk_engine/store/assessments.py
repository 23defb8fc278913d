"""Assessments: a batch is stored with one INSERT and one fsync, and read by id, by key, by page, by payment."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit import outbox
from platform_kit.clock import isoformat
from platform_kit.ids import earliest_id, new_id
from platform_kit.outbox import Event
from platform_kit.writes import Writes
from risk_engine.domain.assessment import Assessment, request_of
from risk_engine.domain.decision import Decision
from risk_engine.domain.facts import LIST_FACT
from risk_engine.domain.reviews import review_of
from risk_engine.store import case_intake, tables
from risk_engine.store.explanations import explanation_of

MADE = "assessment.made.v1"
ID_MAX = "asm_~"  # after every id


@dataclass(frozen=True, slots=True)
class NewAssessment:
    """What the committer is handed. Past `answer_by_s` (perf_counter) the row says that its answer did not wait."""

    assessment: Assessment
    answer: dict[str, Any]
    request: dict[str, Any]
    event: Event
    answer_by_s: float


@dataclass(frozen=True, slots=True)
class Stored:
    """What stands under the (merchant, key) after the flush: this assessment, or an earlier one."""

    id: str
    fingerprint: bytes
    answer: dict[str, Any]


# One statement for any number of rows. Keys come sorted, so that two processes never wait for each other in a ring.
INSERT_ASSESSMENTS = text("""
    INSERT INTO risk.assessment (id, merchant_id, idempotency_key, fingerprint, payment_id, decision, score, rule_set,
                                 model, occurred_at, expires_at, is_late, request, facts, outcome)
    SELECT id, merchant_id, idempotency_key, fingerprint, payment_id, decision, score, rule_set, model, occurred_at,
           expires_at, is_late, CAST(request AS jsonb), CAST(facts AS jsonb), CAST(outcome AS jsonb)
    FROM unnest(
        CAST(:id AS text[]), CAST(:merchant_id AS text[]), CAST(:idempotency_key AS text[]),
        CAST(:fingerprint AS bytea[]), CAST(:payment_id AS text[]), CAST(:decision AS text[]),
        CAST(:score AS smallint[]), CAST(:rule_set AS text[]), CAST(:model AS text[]),
        CAST(:occurred_at AS timestamptz[]), CAST(:expires_at AS timestamptz[]), CAST(:is_late AS boolean[]),
        CAST(:request AS text[]), CAST(:facts AS text[]), CAST(:outcome AS text[]))
      AS a (id, merchant_id, idempotency_key, fingerprint, payment_id, decision, score, rule_set, model, occurred_at,
            expires_at, is_late, request, facts, outcome)
    ON CONFLICT (merchant_id, idempotency_key) DO NOTHING
    RETURNING id
""")

_COLUMNS = """a.id, a.merchant_id, a.payment_id, a.idempotency_key, a.fingerprint, a.decision, a.score, a.rule_set,
              a.model, a.expires_at, a.outcome"""

# By the unique key (merchant_id, idempotency_key).
FIND_BY_KEYS = text(f"""
    SELECT {_COLUMNS} FROM risk.assessment a
    JOIN unnest(CAST(:merchant_id AS text[]), CAST(:idempotency_key AS text[])) AS wanted (merchant_id, idempotency_key)
      ON a.merchant_id = wanted.merchant_id AND a.idempotency_key = wanted.idempotency_key
""").columns(outcome=JSONB)  # noqa: S608 - our own column names

FIND = text(f"""
    SELECT {_COLUMNS}, a.request, a.facts, a.occurred_at, a.created_at, a.is_late,
           e.model AS explained_model, e.reasons AS explained_reasons
    FROM risk.assessment a LEFT JOIN risk.explanation e ON e.assessment_id = a.id WHERE a.id = :id
""").columns(outcome=JSONB, request=JSONB, facts=JSONB, explained_reasons=JSONB)  # noqa: S608

# Newest first by primary key, or by assessment_decision_id_idx. Ids are ordered by time: a range of time is one of ids.
_BEFORE = "FROM risk.assessment a WHERE a.id < :before AND a.id >= :since"

# The same, and the one offset that we have, of a fixed size and over an index: where a search of rows has to stop.
_STOP = """
    SELECT id, created_at FROM risk.assessment
    WHERE id = (SELECT a.id {found} ORDER BY a.id DESC OFFSET :searched_max LIMIT 1)
"""

DATABASE_NOW = text("SELECT clock_timestamp()")

# By assessment_created_at_idx.
FAILED_RULES = text("""
    SELECT failed ->> 'rule' AS rule
    FROM risk.assessment CROSS JOIN LATERAL jsonb_array_elements(outcome -> 'errors') AS one (failed)
    WHERE created_at >= :since GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 5
""")

# Newest first, in slices by primary key: the rebuild of velocity after a loss of Redis.
RECENT_SLICE = text("""
    SELECT id, merchant_id, idempotency_key, payment_id, request, created_at,
           CAST(facts ->> 'amount_reference_minor' AS bigint) AS amount
    FROM risk.assessment WHERE id < :before ORDER BY id DESC LIMIT :limit
""").columns(request=JSONB)


# Oldest first, in slices by primary key: what is decided again.
STORED_SLICE = text("""
    SELECT id, decision, score, rule_set, model, facts, outcome
    FROM risk.assessment WHERE id > :after ORDER BY id LIMIT :limit
""").columns(facts=JSONB, outcome=JSONB)


def new_row(assessment: Assessment, answer_by_s: float) -> NewAssessment:
    """The row and its event. Made by the operation, so that the event carries the request's trace context."""
    answer, request = assessment.as_answer(), request_of(assessment.subject)
    event = Event(
        id=new_id("evt"),
        type=MADE,
        aggregate_id=assessment.id,
        merchant_id=assessment.subject.merchant_id,
        data={"assessment": answer | {"request": request}},
        occurred_at=assessment.subject.occurred_at,
    )
    return NewAssessment(assessment, answer, request, event, answer_by_s)


async def flush(conn: AsyncConnection, items: Sequence[NewAssessment]) -> list[Stored]:
    """The committer's flush: insert what is new with its events and cases, answer each item with what its key holds."""
    ordered = sorted(
        items, key=lambda item: (item.assessment.subject.merchant_id, item.assessment.subject.key)
    )
    rows = await conn.execute(INSERT_ASSESSMENTS, _columns(ordered))
    inserted = {row.id for row in rows}
    events = [item.event for item in items if item.assessment.id in inserted]
    made = [item.assessment for item in ordered if item.assessment.id in inserted]
    if reviews := [review_of(one) for one in made if one.decision is Decision.REVIEW]:
        writes = Writes()
        events += await case_intake.open_or_append(conn, reviews, writes)
        writes.add(*outbox.appending(tables.outbox, events))
        await writes.run(conn)
    else:
        await outbox.append(conn, tables.outbox, events)
    known = [item.assessment for item in items if item.assessment.id not in inserted]
    earlier = await _earlier(conn, known) if known else {}
    return [
        Stored(item.assessment.id, item.assessment.fingerprint, item.answer)
        if item.assessment.id in inserted
        else earlier[item.assessment.subject.merchant_id, item.assessment.subject.key]
        for item in items
    ]


async def _earlier(conn: AsyncConnection, known: Sequence[Assessment]) -> dict[tuple[str, str], Stored]:
    rows = await conn.execute(
        FIND_BY_KEYS,
        {
            "merchant_id": [one.subject.merchant_id for one in known],
            "idempotency_key": [one.subject.key for one in known],
        },
    )
    return {
        (row.merchant_id, row.idempotency_key): Stored(row.id, bytes(row.fingerprint), answer_of(row))
        for row in rows
    }


def _columns(items: Sequence[NewAssessment]) -> dict[str, list[Any]]:
    assessments, now_s = [item.assessment for item in items], time.perf_counter()
    return {
        "id": [a.id for a in assessments],
        "merchant_id": [a.subject.merchant_id for a in assessments],
        "idempotency_key": [a.subject.key for a in assessments],
        "fingerprint": [a.fingerprint for a in assessments],
        "payment_id": [a.subject.payment_id for a in assessments],
        "decision": [a.decision.value for a in assessments],
        "score": [a.score for a in assessments],
        "rule_set": [a.rule_set for a in assessments],
        "model": [a.model for a in assessments],
        "occurred_at": [a.subject.occurred_at for a in assessments],
        "expires_at": [a.expires_at for a in assessments],
        "is_late": [item.answer_by_s < now_s for item in items],
        "request": [orjson.dumps(item.request).decode() for item in items],
        "facts": [orjson.dumps(a.facts, option=orjson.OPT_SORT_KEYS).decode() for a in assessments],
        "outcome": [orjson.dumps(_outcome(a)).decode() for a in assessments],
    }


def _outcome(assessment: Assessment) -> dict[str, Any]:
    made = {
        "reasons": [{"code": reason.code, "text": reason.text} for reason in assessment.reasons],
        "degraded": list(assessment.degraded),
        "hits": [rule.id for rule in assessment.evaluation.hits],
        "errors": [{"rule": rule, "error": error} for rule, error in assessment.evaluation.errors],
        "skipped": list(assessment.evaluation.skipped),
        "timings_us": dict(assessment.timings_us),
    }
    if assessment.probability_ppm is not None:
        made["probability_ppm"] = assessment.probability_ppm
    spoke = [name for name, is_on in assessment.facts.items() if is_on and name.startswith(LIST_FACT)]
    if spoke:
        made["lists"] = [name.removeprefix(LIST_FACT) for name in spoke]
    if assessment.evaluation.snoozed:
        made["snoozed"] = list(assessment.evaluation.snoozed)
    if assessment.let_through:
        made["let_through"] = True
    if other := assessment.other:
        made["other"] = {
            "rule_set": other.rule_set,
            "decision": other.decision.value,
            "hits": list(other.hits),
        }
    return made


def answer_of(row: Any) -> dict[str, Any]:
    """The assessment object of a stored row: the same members and values as its first answer."""
    return {
        "id": row.id,
        "object": "assessment",
        "merchant_id": row.merchant_id,
        "payment_id": row.payment_id,
        "decision": row.decision,
        "score": row.score,
        "probability_ppm": row.outcome.get("probability_ppm"),
        "reasons": row.outcome["reasons"],
        "rule_set": row.rule_set,
        "model": row.model,
        "degraded": row.outcome["degraded"],
        "expires_at": isoformat(row.expires_at),
    }


async def find(conn: AsyncConnection, assessment_id: str) -> dict[str, Any] | None:
    """One assessment with all that was recorded about it."""
    row = (await conn.execute(FIND, {"id": assessment_id})).first()
    if row is None:
        return None
    return answer_of(row) | {
        "request": row.request,
        "facts": row.facts,
        "trace": {
            **{name: row.outcome[name] for name in ("hits", "errors", "skipped", "timings_us")},
            "snoozed": row.outcome.get("snoozed", []),
            "let_through": row.outcome.get("let_through", False),
        },
        "other": row.outcome.get("other"),
        "explanation": explanation_of(row.explained_model, row.explained_reasons),
        "is_late": row.is_late,
        "created_at": isoformat(row.created_at),
    }


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which assessments a list shows. `rule` is one whose hit decided with; `made_before` is not included."""

    decision: Decision | None = None
    merchant: str | None = None
    rule: str | None = None
    score_from: int = 0
    score_to: int = 100
    made_from: datetime | None = None
    made_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Newest first. `stopped_at_id` and `stopped_at` when rows below that id were not looked at."""

    rows: list[dict[str, Any]]
    stopped_at_id: str | None = None
    stopped_at: datetime | None = None


async def page(
    conn: AsyncConnection, wanted: Wanted, *, before: str | None, limit: int, searched_max: int
) -> Found:
    """The newest `limit` assessments that fit, with an id below `before`. Merchant, score and rule have no index beside
    the hot path's inserts: they are looked for in the newest `searched_max` rows that are left."""
    upper = earliest_id("asm", wanted.made_before) if wanted.made_before else ID_MAX
    values: dict[str, Any] = {
        "before": min(before, upper) if before else upper,
        "since": earliest_id("asm", wanted.made_from) if wanted.made_from else "",
        "limit": limit,
    }
    indexed = _BEFORE
    if wanted.decision:
        indexed += " AND a.decision = :decision"
        values["decision"] = wanted.decision
    filters = {
        "a.merchant_id = :merchant": wanted.merchant,
        "a.outcome -> 'hits' @> to_jsonb(CAST(:rule AS text))": wanted.rule,
        "a.score >= :score_from": wanted.score_from or None,
        "a.score <= :score_to": wanted.score_to if wanted.score_to < 100 else None,
    }
    asked = [condition for condition, value in filters.items() if value is not None]
    stop = None
    if asked:
        stop = (
            await conn.execute(
                text(_STOP.format(found=indexed)), _used(values, indexed) | {"searched_max": searched_max - 1}
            )
        ).first()
        values |= {name: getattr(wanted, name) for name in ("merchant", "rule", "score_from", "score_to")}
        if stop:
            values["since"] = stop.id
    sql = " AND ".join((f"SELECT {_COLUMNS}, a.request, a.created_at {indexed}", *asked))
    query = text(f"{sql} ORDER BY a.id DESC LIMIT :limit").columns(outcome=JSONB, request=JSONB)
    rows = await conn.execute(query, _used(values, str(query)))
    return Found(
        [
            answer_of(row)
            | {"request": row.request, "hits": row.outcome["hits"], "created_at": isoformat(row.created_at)}
            for row in rows
        ],
        None if stop is None else stop.id,
        None if stop is None else stop.created_at,
    )


def _used(values: dict[str, Any], sql: str) -> dict[str, Any]:
    return {name: values[name] for name in text(sql).compile().params if name in values}


async def database_now(conn: AsyncConnection) -> datetime:
    """What time it is for `created_at`."""
    now: datetime = await conn.scalar(DATABASE_NOW)
    return now


async def failed_rules(conn: AsyncConnection, since: datetime) -> list[str]:
    """The rules that failed most often since, at most five."""
    return list((await conn.scalars(FAILED_RULES, {"since": since})).all())


async def recent_slice(conn: AsyncConnection, before: str, limit: int) -> Sequence[Any]:
    """Up to `limit` rows of RECENT_SLICE with ids below `before`, newest first."""
    return (await conn.execute(RECENT_SLICE, {"before": before, "limit": limit})).all()


async def stored_slice(conn: AsyncConnection, after: str, limit: int) -> Sequence[Any]:
    """Up to `limit` rows of STORED_SLICE with ids above `after`, oldest first."""
    return (await conn.execute(STORED_SLICE, {"after": after, "limit": limit})).all()
