"""Ingest a batch of events: event store, facts and roll-ups, once each, in the transaction of the cursor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.balances import turnover_of
from data_pipeline.domain.event_facts import facts_of
from data_pipeline.domain.events import Fault, Refused
from data_pipeline.domain.facts import Facts, PaymentFact, supersede
from data_pipeline.domain.report_hours import changed_hours
from data_pipeline.domain.rollups import changes, closed_before, corrections, latency_changes
from data_pipeline.domain.snapshot import dirty_partitions
from data_pipeline.store import balances as balance_store
from data_pipeline.store import events as event_store
from data_pipeline.store import facts as fact_store
from data_pipeline.store import merchants as merchant_store
from data_pipeline.store import quarantine as quarantine_store
from data_pipeline.store import report_hours as hour_store
from data_pipeline.store import rollups as rollup_store
from data_pipeline.store import snapshot as snapshot_store
from platform_kit.clock import Clock, SystemClock
from platform_kit.outbox import Event
from platform_kit.streams import Apply, Quarantine

SYSTEM: Final = SystemClock()


class EventRefused(ValueError):
    """An event breaks its contract. The consumer sets it aside, and stops when there are many such."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.refused = refused


def ingest_into(stream: str, clock: Clock = SYSTEM) -> Apply:
    """The effect of one stream's events, observed now."""

    async def apply(conn: AsyncConnection, events: Sequence[Event]) -> None:
        await ingest_events(conn, stream, events, clock.now())

    return apply


def set_aside_from(stream: str) -> Quarantine:
    """Where an event of one stream goes that cannot be applied."""

    async def quarantine(conn: AsyncConnection, event: Event, error: Exception) -> None:
        known = isinstance(error, EventRefused)
        fault = error.refused.fault if isinstance(error, EventRefused) else "not_applicable"
        detail = str(error) if known else type(error).__name__
        await quarantine_store.set_aside(conn, [_aside(stream, event, fault, detail)])

    return quarantine


async def ingest_events(
    conn: AsyncConnection, stream: str, events: Sequence[Event], observed_at: datetime
) -> None:
    """Store the events, and let those that are new here have their effects.

    An event of a type that this version does not know is set aside at once: its producer may be ahead of us.
    Raises EventRefused for one that breaks its contract.
    """
    read = [(event, received := _received(event), facts_of(received)) for event in events]
    await _set_aside_unknown(conn, stream, ((event, outcome) for event, _, outcome in read))
    usable = [(received, _usable(outcome)) for _, received, outcome in read if not _is_unknown(outcome)]
    if usable:
        await _store_and_apply(conn, stream, usable, observed_at)


async def ingest_received(conn: AsyncConnection, stream: str, received: Any, observed_at: datetime) -> bool:
    """Let one event as received have its effects, whatever the cursor says; False when it has had them already.

    For events that were set aside. Raises EventRefused, also for a type that this version does not know.
    """
    read = [(received, _usable(facts_of(received)))]
    return bool(await _store_and_apply(conn, stream, read, observed_at))


async def _store_and_apply(
    conn: AsyncConnection,
    stream: str,
    read: Sequence[tuple[dict[str, Any], Facts]],
    observed_at: datetime,
) -> set[int]:
    """The event store is the inbox: only what is new in it has effects. Returns the positions that were new."""
    new = await event_store.insert(
        conn, stream, [_stored(stream, received, facts, observed_at) for received, facts in read]
    )
    fresh = [facts for _, facts in read if facts.envelope.position in new]
    await apply_facts(conn, fresh, observed_at.astimezone(UTC).date())
    dirty = dirty_partitions(fresh)
    if merchants := {fact.merchant.merchant_id for fact in fresh if fact.merchant}:
        dirty = sorted({*dirty, *await merchant_store.partitions(conn, merchants)})
    await snapshot_store.mark(conn, dirty)
    await hour_store.mark(conn, changed_hours(fresh))
    return new


async def apply_facts(conn: AsyncConnection, facts: Sequence[Facts], observed_on: date) -> None:
    """The effects of these events on facts and roll-ups: one statement per table, whatever the number of events.

    `observed_on` is the UTC day on which we got to know of them: it decides what is closed (ADR 165).
    """
    if payments := [fact.payment for fact in facts if fact.payment]:
        await _apply_payments(conn, payments, observed_on)
    if transfers := [transfer for fact in facts for transfer in fact.transfers]:
        new = await fact_store.insert_transfers(conn, transfers)
        await balance_store.add(conn, turnover_of(new))
    if refunds := [fact.refund for fact in facts if fact.refund]:
        await fact_store.save_refunds(conn, refunds)
    if disputes := [fact.dispute for fact in facts if fact.dispute]:
        await fact_store.save_disputes(conn, disputes)
    if payouts := [fact.payout for fact in facts if fact.payout]:
        await fact_store.save_payouts(conn, payouts)
    if reserves := [fact.reserve for fact in facts if fact.reserve]:
        await fact_store.save_reserves(conn, reserves)
    if assessments := [fact.assessment for fact in facts if fact.assessment]:
        await fact_store.insert_assessments(conn, assessments)
    if attempts := [attempt for fact in facts for attempt in fact.attempts]:
        await fact_store.insert_attempts(conn, attempts)
    if cases := [fact.case for fact in facts if fact.case]:
        await fact_store.save_cases(conn, cases)
    if merchants := [fact.merchant for fact in facts if fact.merchant]:
        await merchant_store.insert_versions(conn, merchants)


async def _apply_payments(conn: AsyncConnection, told: Iterable[PaymentFact], observed_on: date) -> None:
    """The newest state of each payment, and what that moves in the roll-ups; of closed days nothing moves any more."""
    told = list(told)
    known = await fact_store.lock_payments(conn, (payment.payment_id for payment in told))
    now = dict(known)
    for payment in told:
        now[payment.payment_id] = supersede(now.get(payment.payment_id), payment)
    await fact_store.save_payments(conn, list(now.values()))
    closed = closed_before(observed_on)
    pairs: list[tuple[PaymentFact | None, PaymentFact]] = []
    late: list[tuple[PaymentFact | None, PaymentFact]] = []
    for payment_id, payment in now.items():
        (late if payment.created_at < closed else pairs).append((known.get(payment_id), payment))
    if lines := corrections(late, observed_on):
        await rollup_store.book(conn, lines)
    if moved := changes(pairs):
        await rollup_store.move(conn, moved)
    if latencies := latency_changes(pairs):
        await rollup_store.move_latency(conn, latencies)


async def _set_aside_unknown(
    conn: AsyncConnection, stream: str, read: Iterable[tuple[Event, Facts | Refused]]
) -> None:
    rows = [
        _aside(stream, event, outcome.fault, outcome.detail)
        for event, outcome in read
        if isinstance(outcome, Refused) and _is_unknown(outcome)
    ]
    if rows:
        await quarantine_store.set_aside(conn, rows)


def _is_unknown(outcome: Facts | Refused) -> bool:
    return isinstance(outcome, Refused) and outcome.fault is Fault.UNKNOWN_TYPE


def _usable(outcome: Facts | Refused) -> Facts:
    if isinstance(outcome, Refused):
        raise EventRefused(outcome)
    return outcome


def _received(event: Event) -> dict[str, Any]:
    """The envelope as it came; the kit has parsed its time already."""
    return {
        "id": event.id,
        "type": event.type,
        "position": event.position,
        "occurred_at": event.occurred_at.isoformat().replace("+00:00", "Z"),
        "aggregate_id": event.aggregate_id,
        "merchant_id": event.merchant_id,
        "traceparent": event.traceparent,
        "data": event.data,
    }


def _stored(
    stream: str, received: dict[str, Any], facts: Facts, observed_at: datetime
) -> event_store.StoredEvent:
    envelope = facts.envelope
    return event_store.StoredEvent(
        stream=stream,
        position=envelope.position,
        event_id=envelope.id,
        type=envelope.type,
        aggregate_id=envelope.aggregate_id,
        merchant_id=envelope.merchant_id,
        occurred_at=envelope.occurred_at,
        received_at=observed_at,
        payload=orjson.dumps(received).decode(),
    )


def _aside(stream: str, event: Event, fault: str, detail: str) -> quarantine_store.SetAside:
    """Whatever the members of a broken envelope are, the row can be written."""
    return quarantine_store.SetAside(
        stream=stream,
        position=event.position or 0,
        event_id=_short(event.id),
        type=_short(event.type),
        payload=orjson.dumps(_received(event), default=repr, option=orjson.OPT_NON_STR_KEYS).decode(),
        fault=fault,
        detail=detail,
    )


def _short(value: object) -> str | None:
    """At most 512 characters that Postgres can store, or None for what is no text."""
    return value[:512].replace("\x00", "") if isinstance(value, str) else None
