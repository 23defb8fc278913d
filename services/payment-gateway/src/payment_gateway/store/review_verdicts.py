"""Verdicts about payments under review: kept once, taken up when due, finished with what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.events import Event

RETRY_MAX_S: Final = 300

# A verdict that is known changes nothing: a case is decided once.
ADD = text("""
    INSERT INTO payments.review_verdict (case_id, payment_id, assessment_id, verdict, decided_at)
    SELECT * FROM unnest(CAST(:case_id AS text[]), CAST(:payment_id AS text[]), CAST(:assessment_id AS text[]),
                         CAST(:verdict AS text[]), CAST(:decided_at AS timestamptz[]))
    ON CONFLICT (case_id, payment_id) DO NOTHING
""")

# By review_verdict_due_idx. Each goes to one worker, and comes again by itself should that worker die: after seconds at
# first, then every RETRY_MAX_S.
CLAIM = text("""
    UPDATE payments.review_verdict v
    SET tries = v.tries + 1, due_at = now() + make_interval(secs => LEAST(:retry_max_s, 5 * 2 ^ LEAST(v.tries, 20)))
    WHERE (case_id, payment_id) IN (
        SELECT case_id, payment_id FROM payments.review_verdict
        WHERE due_at <= now() ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING case_id, payment_id, assessment_id, verdict, decided_at, tries
""")

REFUSED = text("""
    UPDATE payments.review_verdict SET refusals = refusals + 1
    WHERE case_id = :case_id AND payment_id = :payment_id RETURNING refusals
""")

FINISH = text("""
    UPDATE payments.review_verdict SET outcome = :outcome, finished_at = now(), due_at = NULL
    WHERE case_id = :case_id AND payment_id = :payment_id AND outcome IS NULL
""")

QUARANTINE = text("""
    INSERT INTO payments.quarantined_event (event_id, envelope, error)
    VALUES (:event_id, CAST(:envelope AS jsonb), :error) ON CONFLICT (event_id) DO NOTHING
""")


@dataclass(frozen=True, slots=True)
class ReviewVerdict:
    """`approve` or `reject`, of one payment as `assessment_id` saw it. `tries` counts how often it was taken up."""

    case_id: str
    payment_id: str
    assessment_id: str
    verdict: str
    decided_at: datetime
    tries: int = 0


async def add(conn: AsyncConnection, verdicts: Sequence[ReviewVerdict]) -> None:
    """Keep verdicts; those that are known change nothing."""
    if verdicts:
        names = [one.name for one in fields(ReviewVerdict) if one.name != "tries"]
        await conn.execute(ADD, {name: [getattr(one, name) for one in verdicts] for name in names})


async def claim(conn: AsyncConnection, limit: int) -> Sequence[ReviewVerdict]:
    """Verdicts that are due, each for this worker alone until they are due again."""
    rows = await conn.execute(CLAIM, {"limit": limit, "retry_max_s": RETRY_MAX_S})
    return [ReviewVerdict(**row._mapping) for row in rows]


async def refused(conn: AsyncConnection, verdict: ReviewVerdict) -> int:
    """The channel said no to it once more; returns how often by now."""
    values = {"case_id": verdict.case_id, "payment_id": verdict.payment_id}
    number: int = await conn.scalar(REFUSED, values) or 0
    return number


async def finish(conn: AsyncConnection, verdict: ReviewVerdict, outcome: str) -> None:
    """There is nothing more to do; the first outcome stays."""
    values = {"case_id": verdict.case_id, "payment_id": verdict.payment_id, "outcome": outcome}
    await conn.execute(FINISH, values)


async def quarantine(conn: AsyncConnection, event: Event, error: Exception) -> None:
    """Keep an event that says what we do not understand."""
    envelope = orjson.dumps(event.envelope()).decode()
    await conn.execute(QUARANTINE, {"event_id": event.id, "envelope": envelope, "error": repr(error)})
