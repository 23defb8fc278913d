"""Assessments, read: by id, by page, in slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat
from platform_kit.ids import earliest_id
from risk_engine.domain.decision import Decision
from risk_engine.store.explanations import explanation_of

MADE = "assessment.made.v1"
ID_MAX = "asm_~"  # after every id


COLUMNS = """a.id, a.merchant_id, a.payment_id, a.idempotency_key, a.fingerprint, a.decision, a.score, a.rule_set,
              a.model, a.expires_at, a.outcome"""

FIND = text(f"""
    SELECT {COLUMNS}, a.request, a.facts, a.occurred_at, a.created_at, a.is_late,
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
    sql = " AND ".join((f"SELECT {COLUMNS}, a.request, a.created_at {indexed}", *asked))
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
