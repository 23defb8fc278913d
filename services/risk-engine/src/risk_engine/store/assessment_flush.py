"""Assessments, stored: any number with one INSERT and one fsync, their events with them, and cases where they are to be
reviewed."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit import outbox
from platform_kit.committer import CommitLost
from platform_kit.ids import new_id
from platform_kit.outbox import Event
from platform_kit.writes import Writes
from risk_engine.domain.assessment import Assessment, request_of
from risk_engine.domain.decision import Decision
from risk_engine.domain.facts import LIST_FACT
from risk_engine.domain.reviews import review_of
from risk_engine.store import case_intake, tables
from risk_engine.store.assessments import COLUMNS, MADE, answer_of


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

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")
_ROW = tuple(dict.fromkeys(_PARAMETER.findall(INSERT_ASSESSMENTS.text)))
_TOLD = (
    "ids",
    "types",
    "aggregate_ids",
    "merchant_ids",
    "data",
    "traceparents",
    "occurred",
)  # of outbox.appending


def _numbered(statement: str) -> str:
    return _PARAMETER.sub(lambda found: f"${_ROW.index(found[1]) + 1}", statement)


def _array(name: str, kind: str) -> str:
    return f"CAST(${len(_ROW) + _TOLD.index(name) + 1} AS {kind}[])"


# The same rows and their events in one statement, which is its own transaction: what was stored before is told no more.
MAKE = f"""
    WITH made AS ({_numbered(INSERT_ASSESSMENTS.text)}), told AS (
        INSERT INTO risk.outbox_event (id, type, aggregate_id, merchant_id, data, traceparent, occurred_at)
        SELECT id, type, aggregate_id, merchant_id, CAST(data AS jsonb), traceparent, occurred_at
        FROM unnest({_array("ids", "text")}, {_array("types", "text")}, {_array("aggregate_ids", "text")},
                    {_array("merchant_ids", "text")}, {_array("data", "text")}, {_array("traceparents", "text")},
                    {_array("occurred", "timestamptz")}) WITH ORDINALITY
          AS e (id, type, aggregate_id, merchant_id, data, traceparent, occurred_at, place)
        WHERE aggregate_id IN (SELECT id FROM made) ORDER BY place)
    SELECT id FROM made
"""  # noqa: S608 - our own column names

_GONE = frozenset({"08", "57"})  # classes of SQLSTATE: the connection was lost, or ended by an operator

# By the unique key (merchant_id, idempotency_key).
FIND_BY_KEYS = text(f"""
    SELECT {COLUMNS} FROM risk.assessment a
    JOIN unnest(CAST(:merchant_id AS text[]), CAST(:idempotency_key AS text[])) AS wanted (merchant_id, idempotency_key)
      ON a.merchant_id = wanted.merchant_id AND a.idempotency_key = wanted.idempotency_key
""").columns(outcome=JSONB)  # noqa: S608 - our own column names


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
    """The committer's flush: insert what is new with its events and cases, answer each item with what its key holds.
    Raises CommitLost where one statement was enough and its answer was lost."""
    ordered = sorted(
        items, key=lambda item: (item.assessment.subject.merchant_id, item.assessment.subject.key)
    )
    opens_cases = any(item.assessment.decision is Decision.REVIEW for item in items)
    inserted = None if opens_cases else await _make(conn, ordered, items)
    if inserted is None:
        inserted = await _make_with_cases(conn, ordered, items)
    known = [item.assessment for item in items if item.assessment.id not in inserted]
    earlier = await _earlier(conn, known) if known else {}
    return [
        Stored(item.assessment.id, item.assessment.fingerprint, item.answer)
        if item.assessment.id in inserted
        else earlier[item.assessment.subject.merchant_id, item.assessment.subject.key]
        for item in items
    ]


async def _make(
    conn: AsyncConnection, ordered: Sequence[NewAssessment], items: Sequence[NewAssessment]
) -> set[str] | None:
    """Store and tell them at once; None for what Postgres refuses, of which nothing is stored."""
    driver: Any = (await conn.get_raw_connection()).driver_connection
    row, told = _columns(ordered), outbox.appending(tables.outbox, [item.event for item in items])[1]
    values = (*(row[name] for name in _ROW), *(told[name] for name in _TOLD))
    try:
        return {one["id"] for one in await driver.fetch(MAKE, *values)}
    except asyncpg.PostgresError as error:
        if (error.sqlstate or "")[:2] in _GONE:
            raise CommitLost from error
        return None  # the way in a transaction tells what is wrong, as the committer knows it
    except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise CommitLost from error


async def _make_with_cases(
    conn: AsyncConnection, ordered: Sequence[NewAssessment], items: Sequence[NewAssessment]
) -> set[str]:
    """The same in the committer's transaction, with the cases of what is to be reviewed."""
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
    return inserted


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
