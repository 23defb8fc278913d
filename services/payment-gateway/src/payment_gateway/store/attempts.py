"""Attempts: the questions to channels, and the work list of the resolver."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.attempt import Attempt, Declined, NotProcessed, Operation, Outcome, Unknown
from payment_gateway.domain.objects import outcome_name, reference_of
from payment_gateway.store import rows
from payment_gateway.store.tables import attempt as table
from platform_kit.writes import Writes

# A question without a recorded answer is looked after by the resolver once its sender must be dead: the channel
# timeout (5 s) plus two commits at their worst.
SENDER_GIVEN_UP = timedelta(seconds=10)

_INSERT = rows.insert_statement(table)

RECORD_ANSWERS = text(
    f"UPDATE {table.fullname} AS old SET outcome = new.outcome, code = new.code,"  # noqa: S608 - our own names
    " channel_reference = COALESCE(new.channel_reference, old.channel_reference),"
    " due_at = new.due_at, tries = LEAST(old.tries + 1, 1000)"
    f" FROM jsonb_populate_recordset(CAST(NULL AS {table.fullname}), CAST(:rows AS jsonb)) AS new"
    " WHERE old.id = new.id"
)
GET_OUTCOME = text(f"SELECT outcome FROM {table.fullname} WHERE id = :id")  # noqa: S608
# attempt_payment_id_idx
LAST_AUTHORISATION = text(
    f"SELECT id FROM {table.fullname} WHERE payment_id = :payment_id AND operation = 'authorise'"  # noqa: S608
    " ORDER BY sent_at DESC, id DESC LIMIT 1"
)
GET_ATTEMPT = text(f"SELECT * FROM {table.fullname} WHERE id = :id")  # noqa: S608
# attempt_due_idx. Claiming moves due_at on, so that a resolver that dies gives the row back by itself.
CLAIM_DUE_ATTEMPTS = text(
    f"UPDATE {table.fullname} SET due_at = now() + interval '15 seconds' WHERE id IN ("  # noqa: S608 - our own names
    f" SELECT id FROM {table.fullname} WHERE due_at <= now() ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED"
    ") RETURNING *"
)
COUNT_UNRESOLVED = text(
    f"SELECT count(*) AS unresolved, COALESCE(EXTRACT(epoch FROM now() - min(sent_at)), 0) AS oldest_s"  # noqa: S608
    f" FROM {table.fullname} WHERE due_at IS NOT NULL AND outcome IS DISTINCT FROM 'action_required'"
)


def insert(writes: Writes, attempts: Iterable[Attempt]) -> None:
    """Write questions that are about to be sent, due for the resolver once their sender must have died."""
    rows.add(writes, _INSERT, map(_row, attempts))


def record_answers(writes: Writes, answers: Sequence[tuple[Attempt, Outcome, datetime | None]]) -> None:
    """Write what came of questions; `due_at` None settles one."""
    by_id = {  # the last answer of a flush is the truth of it
        attempt.id: {
            "id": attempt.id,
            "outcome": outcome_name(outcome),
            "code": outcome.code if isinstance(outcome, Declined | NotProcessed | Unknown) else None,
            "channel_reference": reference_of(outcome),
            "due_at": due_at,
        }
        for attempt, outcome, due_at in answers
    }
    rows.add(writes, RECORD_ANSWERS, by_id.values())


async def get(conn: AsyncConnection, attempt_id: str) -> Attempt | None:
    row = (await conn.execute(GET_ATTEMPT, {"id": attempt_id})).first()
    return _attempt(row) if row else None


async def authorisation_of(conn: AsyncConnection, payment_id: str) -> str | None:
    """The attempt that last asked a channel to authorise this payment."""
    found: str | None = await conn.scalar(LAST_AUTHORISATION, {"payment_id": payment_id})
    return found


async def recorded_outcome(conn: AsyncConnection, attempt_id: str) -> str | None:
    """The word for what is recorded of an attempt, if anything is. `unknown`: the channel was asked and its answer
    lost, and not found since."""
    found: str | None = await conn.scalar(GET_OUTCOME, {"id": attempt_id})
    return found


async def claim_due(conn: AsyncConnection, limit: int) -> list[tuple[Attempt, int]]:
    """Attempts whose channel is to be asked now, with the number of questions so far; each goes to one resolver."""
    found = await conn.execute(CLAIM_DUE_ATTEMPTS, {"limit": limit})
    return [(_attempt(row), row.tries) for row in found]


async def unresolved(conn: AsyncConnection) -> tuple[int, float]:
    """How many questions have no answer, and the age in seconds of the oldest."""
    row = (await conn.execute(COUNT_UNRESOLVED)).one()
    return row.unresolved, float(row.oldest_s)


def _row(attempt: Attempt) -> dict[str, Any]:
    scope, key = attempt.claim or (None, None)
    return {
        "id": attempt.id, "payment_id": attempt.payment_id, "refund_id": attempt.refund_id,
        "original": attempt.original,
        "operation": attempt.operation, "channel": attempt.channel, "amount_minor": attempt.amount_minor,
        "currency": attempt.currency, "claim_scope": scope, "claim_key": key, "sent_at": attempt.sent_at,
        "surcharge_minor": attempt.surcharge_minor,
        "tries": 0, "due_at": attempt.sent_at + SENDER_GIVEN_UP,
    }  # fmt: skip


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        id=row.id,
        payment_id=row.payment_id,
        refund_id=row.refund_id,
        original=row.original,
        operation=Operation(row.operation),
        channel=row.channel,
        amount_minor=row.amount_minor,
        currency=row.currency,
        sent_at=row.sent_at,
        surcharge_minor=row.surcharge_minor,
        claim=(row.claim_scope, row.claim_key) if row.claim_scope else None,
    )
