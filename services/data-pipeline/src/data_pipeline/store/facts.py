"""Silver: the current state of each payment and refund, every transfer, every assessment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Table, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.balances import Moved
from data_pipeline.domain.facts import (
    AssessmentFact,
    CaseFact,
    DisputeFact,
    PaymentFact,
    PayoutFact,
    RefundFact,
    ReserveFact,
    TransferFact,
    WebhookAttemptFact,
    superseded,
)
from data_pipeline.domain.matching import LedgerLine
from data_pipeline.domain.reconciliation import HoldStatus
from data_pipeline.domain.settlement import SettlementType
from data_pipeline.store.arrays import arrays, insert_many
from data_pipeline.store.tables import (
    fact_assessment,
    fact_case,
    fact_dispute,
    fact_payment,
    fact_payout,
    fact_refund,
    fact_reserve,
    fact_transfer,
    fact_webhook_attempt,
)

_PAYMENT = tuple(field.name for field in fields(PaymentFact))
_REFUND = tuple(field.name for field in fields(RefundFact))
_TRANSFER = tuple(field.name for field in fields(TransferFact))
_ASSESSMENT = tuple(field.name for field in fields(AssessmentFact))
_DISPUTE = tuple(field.name for field in fields(DisputeFact))
_PAYOUT = tuple(field.name for field in fields(PayoutFact))
_RESERVE = tuple(field.name for field in fields(ReserveFact))
_ATTEMPT = tuple(field.name for field in fields(WebhookAttemptFact))
_CASE = tuple(field.name for field in fields(CaseFact))


def _update_of(names: Iterable[str], key: str) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in names if name != key)


LOCK_PAYMENTS = text(
    f"""
    SELECT {", ".join(_PAYMENT)} FROM pipeline.fact_payment
    WHERE payment_id = ANY(:payment_ids) ORDER BY payment_id FOR UPDATE
    """  # noqa: S608 - column names of our own dataclass
)
SAVE_PAYMENTS = insert_many(
    fact_payment,
    _PAYMENT,
    f"ON CONFLICT (payment_id) DO UPDATE SET {_update_of(_PAYMENT, 'payment_id')}",
)
# A refund that an older event tells of again keeps its newer state.
SAVE_REFUNDS = insert_many(
    fact_refund,
    _REFUND,
    f"ON CONFLICT (refund_id) DO UPDATE SET {_update_of(_REFUND, 'refund_id')} "
    "WHERE fact_refund.position < excluded.position",
)


def _save_newest(table: Table, names: tuple[str, ...]) -> TextClause:
    """Whatever order events come in: the newest state, and of decisions the first."""
    key, name = names[0], table.name
    newer = ", ".join(
        f"{one} = CASE WHEN {name}.position < excluded.position THEN excluded.{one} ELSE {name}.{one} END"
        for one in names
        if one not in (key, "decided_at")
    )
    first = f"decided_at = least({name}.decided_at, excluded.decided_at)"  # least() passes over NULL
    return insert_many(table, names, f"ON CONFLICT ({key}) DO UPDATE SET {newer}, {first}")


SAVE_DISPUTES = _save_newest(fact_dispute, _DISPUTE)
SAVE_PAYOUTS = _save_newest(fact_payout, _PAYOUT)
SAVE_RESERVES = _save_newest(fact_reserve, _RESERVE)
INSERT_TRANSFERS = insert_many(
    fact_transfer, _TRANSFER, f"ON CONFLICT DO NOTHING RETURNING {', '.join(Moved._fields)}"
)
SAVE_CASES = _save_newest(fact_case, _CASE)
INSERT_ATTEMPTS = insert_many(fact_webhook_attempt, _ATTEMPT, "ON CONFLICT DO NOTHING")
INSERT_ASSESSMENTS = insert_many(fact_assessment, _ASSESSMENT, "ON CONFLICT DO NOTHING")

# One line per journal: a journal with several transfers at one channel is one operation there.
LEDGER_LINES = text(
    """
    SELECT journal_id, settled_type, currency, sum(amount_minor)::bigint AS amount_minor,
           min(channel_reference) AS channel_reference, min(channel_key) AS channel_key,
           min(occurred_at) AS occurred_at, min(aggregate_id) AS payment_id
    FROM pipeline.fact_transfer
    WHERE settled_channel = :channel AND occurred_at >= :after AND occurred_at < :before
    GROUP BY journal_id, settled_type, currency          -- fact_transfer_settled_idx
    """
)
# What the ledger holds at a channel under these references, and never posted.          fact_transfer_reference_idx
HOLDS = text(
    """
    SELECT channel_reference, bool_or(kind = 'release') AS is_released
    FROM pipeline.fact_transfer
    WHERE channel_reference = ANY(:references) AND debit = :receivable
    GROUP BY channel_reference HAVING NOT bool_or(kind IN ('post', 'posted'))
    """
)
LATEST_PAYMENTS = text(
    """
    SELECT payment_id, merchant_id, status, amount_minor, currency, method, channel, reference, decline_code,
           decision, score, created_at, decided_at, refunded_minor
    FROM pipeline.fact_payment ORDER BY created_at DESC, payment_id DESC LIMIT :limit
    """
)
PAYMENT = text(f"SELECT {', '.join(_PAYMENT)} FROM pipeline.fact_payment WHERE payment_id = :id")  # noqa: S608
REFUNDS_OF = text(
    """
    SELECT refund_id, amount_minor, currency, status, reason, created_at
    FROM pipeline.fact_refund WHERE payment_id = :id ORDER BY created_at, refund_id
    """
)
TRANSFERS_OF = text(
    """
    SELECT journal_id, line, event_id, occurred_at, debit, credit, amount_minor, currency, kind,
           channel_reference
    FROM pipeline.fact_transfer WHERE aggregate_id = :id ORDER BY occurred_at, journal_id, line
    """
)
ASSESSMENTS_OF = text(
    """
    SELECT assessment_id, decision, score, reasons, rule_set, model, degraded, occurred_at
    FROM pipeline.fact_assessment WHERE payment_id = :id OR assessment_id = :assessment_id
    ORDER BY occurred_at, assessment_id
    """
)
# Each branch is one index probe; a reference may have been used several times, the newest wins.
FIND = text(
    """
    SELECT payment_id FROM (
        SELECT payment_id, created_at FROM pipeline.fact_payment WHERE payment_id = :query
        UNION ALL SELECT payment_id, created_at FROM pipeline.fact_payment WHERE reference = :query
        UNION ALL SELECT payment_id, created_at FROM pipeline.fact_refund WHERE refund_id = :query
        UNION ALL SELECT payment_id, occurred_at FROM pipeline.fact_assessment WHERE assessment_id = :query
    ) AS found WHERE payment_id IS NOT NULL ORDER BY created_at DESC LIMIT 1
    """
)
STATUS_COUNTS = text(
    """
    SELECT count(*) FILTER (WHERE status = 'unknown') AS unknown_count,
           min(created_at) FILTER (WHERE status = 'unknown') AS oldest_unknown_at
    FROM pipeline.fact_payment WHERE status = 'unknown'   -- fact_payment_unknown_idx
    """
)
UNKNOWN_BY_SLOT = text(
    """
    SELECT date_bin(:slot, created_at, :after) AS slot, count(*) AS payment_count FROM pipeline.fact_payment
    WHERE status = 'unknown' AND created_at >= :after AND created_at < :before GROUP BY 1  -- fact_payment_unknown_idx
    """
)
# Ids are in the order of time.
DECIDED_BY = text("SELECT rule_set, model FROM pipeline.fact_assessment ORDER BY assessment_id DESC LIMIT 1")
LEDGER_TOTALS = text(
    """
    SELECT currency, count(*) AS transfer_count,
           coalesce(sum(amount_minor), 0)::bigint AS moved_minor
    FROM pipeline.fact_transfer WHERE kind IN ('posted', 'post') GROUP BY currency ORDER BY currency
    """
)


async def lock_payments(conn: AsyncConnection, payment_ids: Iterable[str]) -> dict[str, PaymentFact]:
    """What is known of these payments, locked in id order until the transaction ends."""
    result = await conn.execute(LOCK_PAYMENTS, {"payment_ids": sorted(set(payment_ids))})
    return {row[0]: PaymentFact(*row) for row in result}


async def save_payments(conn: AsyncConnection, payments: Sequence[PaymentFact]) -> None:
    await conn.execute(SAVE_PAYMENTS, arrays(payments, _PAYMENT))


async def save_refunds(conn: AsyncConnection, refunds: Iterable[RefundFact]) -> None:
    """Keep the newest state of each refund; one refund may come several times in one batch."""
    newest: dict[str, RefundFact] = {}
    for refund in sorted(refunds, key=lambda refund: refund.position):
        newest[refund.refund_id] = refund
    await conn.execute(SAVE_REFUNDS, arrays(newest.values(), _REFUND))


async def save_disputes(conn: AsyncConnection, disputes: Iterable[DisputeFact]) -> None:
    await conn.execute(SAVE_DISPUTES, arrays(superseded(disputes), _DISPUTE))


async def save_payouts(conn: AsyncConnection, payouts: Iterable[PayoutFact]) -> None:
    await conn.execute(SAVE_PAYOUTS, arrays(superseded(payouts), _PAYOUT))


async def save_reserves(conn: AsyncConnection, reserves: Iterable[ReserveFact]) -> None:
    await conn.execute(SAVE_RESERVES, arrays(superseded(reserves), _RESERVE))


async def save_cases(conn: AsyncConnection, cases: Iterable[CaseFact]) -> None:
    await conn.execute(SAVE_CASES, arrays(superseded(cases), _CASE))


async def insert_attempts(conn: AsyncConnection, attempts: Sequence[WebhookAttemptFact]) -> None:
    await conn.execute(INSERT_ATTEMPTS, arrays(attempts, _ATTEMPT))


async def insert_transfers(conn: AsyncConnection, transfers: Sequence[TransferFact]) -> list[Moved]:
    """Those that were not known: several events may tell of one journal."""
    return [Moved(*row) for row in await conn.execute(INSERT_TRANSFERS, arrays(transfers, _TRANSFER))]


async def insert_assessments(conn: AsyncConnection, assessments: Sequence[AssessmentFact]) -> None:
    columns = arrays(assessments, _ASSESSMENT)
    columns["reasons"] = [json.dumps([dict(item) for item in reasons]) for reasons in columns["reasons"]]
    columns["degraded"] = [json.dumps(names) for names in columns["degraded"]]
    await conn.execute(INSERT_ASSESSMENTS, columns)


async def ledger_lines(
    conn: AsyncConnection, channel: str, after: datetime, before: datetime
) -> list[LedgerLine]:
    """What the ledger booked at `channel` in [after, before)."""
    result = await conn.execute(LEDGER_LINES, {"channel": channel, "after": after, "before": before})
    return [
        LedgerLine(
            journal_id=row.journal_id,
            channel_reference=row.channel_reference,
            channel_key=row.channel_key,
            type=SettlementType(row.settled_type),
            amount_minor=row.amount_minor,
            currency=row.currency,
            occurred_at=row.occurred_at,
            payment_id=row.payment_id,
        )
        for row in result
    ]


async def holds(conn: AsyncConnection, channel: str, references: Iterable[str]) -> dict[str, HoldStatus]:
    """Which of these references the ledger knows at `channel`, and has not posted."""
    values = {"references": sorted(set(references)), "receivable": f"channel:{channel}:receivable"}
    result = await conn.execute(HOLDS, values)
    return {
        row.channel_reference: HoldStatus.RELEASED if row.is_released else HoldStatus.HELD for row in result
    }


async def latest_payments(conn: AsyncConnection, limit: int) -> list[dict[str, Any]]:
    return [dict(row) for row in (await conn.execute(LATEST_PAYMENTS, {"limit": limit})).mappings()]


async def payment(conn: AsyncConnection, payment_id: str) -> dict[str, Any] | None:
    row = (await conn.execute(PAYMENT, {"id": payment_id})).mappings().one_or_none()
    return dict(row) if row else None


async def find(conn: AsyncConnection, query: str) -> str | None:
    """The newest payment with this id or reference, or of the refund or assessment with this id."""
    found: str | None = await conn.scalar(FIND, {"query": query})
    return found


async def refunds_of(conn: AsyncConnection, payment_id: str) -> list[dict[str, Any]]:
    return [dict(row) for row in (await conn.execute(REFUNDS_OF, {"id": payment_id})).mappings()]


async def transfers_of(conn: AsyncConnection, payment_id: str) -> list[dict[str, Any]]:
    return [dict(row) for row in (await conn.execute(TRANSFERS_OF, {"id": payment_id})).mappings()]


async def assessments_of(
    conn: AsyncConnection, payment_id: str, assessment_id: str | None
) -> list[dict[str, Any]]:
    values = {"id": payment_id, "assessment_id": assessment_id}
    return [dict(row) for row in (await conn.execute(ASSESSMENTS_OF, values)).mappings()]


async def unknown_now(conn: AsyncConnection) -> tuple[int, datetime | None]:
    """How many payments wait for their outcome, and since when the oldest does."""
    row = (await conn.execute(STATUS_COUNTS)).one()
    return int(row.unknown_count), row.oldest_unknown_at


async def ledger_totals(conn: AsyncConnection) -> list[dict[str, Any]]:
    """Money moved by currency. Each transfer is one debit and one credit, so both sides have this sum."""
    return [dict(row) for row in (await conn.execute(LEDGER_TOTALS)).mappings()]


async def unknown_by_slot(
    conn: AsyncConnection, after: datetime, before: datetime, slot: timedelta
) -> list[dict[str, Any]]:
    """Payments that are unknown now, by the slot of [after, before) in which they were created."""
    values = {"after": after, "before": before, "slot": slot}
    return [dict(row) for row in (await conn.execute(UNKNOWN_BY_SLOT, values)).mappings()]


async def decided_by(conn: AsyncConnection) -> dict[str, str | None]:
    """Versions of rules and model that decided last."""
    row = (await conn.execute(DECIDED_BY)).one_or_none()
    return {"rule set": row.rule_set if row else None, "model": row.model if row else None}
