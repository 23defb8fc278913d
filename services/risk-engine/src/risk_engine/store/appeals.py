"""Appeals: added, never changed; how one stands is in its case."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.clock import isoformat, isoformat_or_none
from risk_engine.domain.appeals import ANSWERS, AppealStatus, status_of
from risk_engine.domain.cases import Verdict

# Two that come at once are one after the other: of one assessment there is one appeal, and of a merchant so many.
LOCK = text("SELECT pg_advisory_xact_lock(hashtext('risk.appeal/' || :merchant_id))")

ADD = text("""
    INSERT INTO risk.appeal (id, merchant_id, assessment_id, payment_id, case_id, made_by, reason, recorded_by, made_at)
    VALUES (:id, :merchant_id, :assessment_id, :payment_id, :case_id, :made_by, :reason, :recorded_by, :made_at)
""")

_SHOWN = """
    SELECT p.id, p.merchant_id, p.assessment_id, p.payment_id, p.case_id, p.made_by, p.reason, p.recorded_by, p.made_at,
           a.decision, c.verdict, c.due_at, c.closed_at
    FROM risk.appeal p JOIN risk.review_case c ON c.id = p.case_id JOIN risk.assessment a ON a.id = p.assessment_id
"""
_BY = {
    name: text(f"{_SHOWN} WHERE p.{name} = :value")
    for name in ("id", "assessment_id", "case_id")  # by the key of each
}

# By appeal_merchant_id_id_idx.
COUNT_UNDECIDED = text("""
    SELECT count(*) FROM risk.appeal p JOIN risk.review_case c ON c.id = p.case_id
    WHERE p.merchant_id = :merchant_id AND c.status <> 'closed'
""")

_UNDECIDED = "c.verdict IS NULL"
_DECIDED = "c.verdict = :verdict"
_VERDICTS = {AppealStatus.GRANTED: Verdict.APPROVE, AppealStatus.DENIED: Verdict.REJECT}


async def lock(conn: AsyncConnection, merchant_id: str) -> None:
    """Wait for other appeals of this merchant, until the transaction ends."""
    await conn.execute(LOCK, {"merchant_id": merchant_id})


async def add(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Keep one; the caller holds the lock and has opened its case."""
    await conn.execute(ADD, dict(values))


async def find(conn: AsyncConnection, appeal_id: str) -> dict[str, Any] | None:
    """One appeal."""
    return await _one(conn, "id", appeal_id)


async def of_assessment(conn: AsyncConnection, assessment_id: str) -> dict[str, Any] | None:
    """The appeal against an assessment, of which there is one at most."""
    return await _one(conn, "assessment_id", assessment_id)


async def of_case(conn: AsyncConnection, case_id: str) -> dict[str, Any] | None:
    """The appeal that a case is about."""
    return await _one(conn, "case_id", case_id)


async def _one(conn: AsyncConnection, name: str, value: str) -> dict[str, Any] | None:
    row = (await conn.execute(_BY[name], {"value": value})).first()
    return _object(row) if row else None


async def count_undecided(conn: AsyncConnection, merchant_id: str) -> int:
    """How many of a merchant's wait for a person."""
    return int(await conn.scalar(COUNT_UNDECIDED, {"merchant_id": merchant_id}) or 0)


async def page(
    conn: AsyncConnection,
    *,
    merchant_id: str | None,
    status: AppealStatus | None,
    before: str | None,
    limit: int,
) -> Sequence[dict[str, Any]]:
    """Newest first: by appeal_pkey, or by appeal_merchant_id_id_idx."""
    conditions = {
        "p.id < :before": before,
        "p.merchant_id = :merchant_id": merchant_id,
        _UNDECIDED if status is AppealStatus.OPEN else _DECIDED: status,
    }
    asked = [condition for condition, value in conditions.items() if value is not None]
    where = f" WHERE {' AND '.join(asked)}" if asked else ""
    values = {
        "before": before,
        "merchant_id": merchant_id,
        "verdict": _VERDICTS.get(status) if status else None,
        "limit": limit,
    }
    query = text(f"{_SHOWN}{where} ORDER BY p.id DESC LIMIT :limit")
    rows = await conn.execute(query, {name: values[name] for name in query.compile().params})
    return [_object(row) for row in rows]


def _object(row: Any) -> dict[str, Any]:
    status = status_of(row.verdict and Verdict(row.verdict))
    return {
        "id": row.id,
        "object": "appeal",
        "merchant_id": row.merchant_id,
        "assessment_id": row.assessment_id,
        "payment_id": row.payment_id,
        "decision": row.decision,
        "status": status,
        "text": ANSWERS[status],
        "by": row.made_by,
        "reason": row.reason,
        "case_id": row.case_id,
        "recorded_by": row.recorded_by,
        "made_at": isoformat(row.made_at),
        "due_at": isoformat(row.due_at),
        "decided_at": isoformat_or_none(row.closed_at),
    }
