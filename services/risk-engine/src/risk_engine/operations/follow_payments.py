"""What the gateway's events mean here, applied in the transaction that moves the cursor: outcomes for the velocity
windows, labels, how the payments of cases stand, and a case for what it held alone."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit import outbox
from platform_kit.outbox import Event
from risk_engine.clients.rule_files import PACKAGED, read_rule_document
from risk_engine.domain import cases as machine
from risk_engine.domain.case_effects import PaymentStatus
from risk_engine.domain.cases import act_of
from risk_engine.domain.decision import Decision
from risk_engine.domain.reviews import review_of_hold
from risk_engine.domain.rule_documents import InvalidRuleSet, parse_rule_set
from risk_engine.domain.rules import RuleSet
from risk_engine.domain.staff import ENGINE
from risk_engine.operations.record_labels import label_of
from risk_engine.operations.record_outcomes import record_outcomes
from risk_engine.store import case_intake, case_payments, cases, labels, rule_sets, tables
from risk_engine.store.case_events import CLOSED, case_event
from risk_engine.store.case_payments import Moved

_STATUSES: Final[Mapping[str, PaymentStatus]] = {
    "authorised": PaymentStatus.HELD,
    "partially_captured": PaymentStatus.HELD,
    "captured": PaymentStatus.CAPTURED,
    "cancelled": PaymentStatus.GIVEN_UP,
    "voided": PaymentStatus.GIVEN_UP,
    "expired": PaymentStatus.EXPIRED,
    "declined": PaymentStatus.REFUSED,
    "failed": PaymentStatus.REFUSED,
}


async def follow_payments(conn: AsyncConnection, events: Sequence[Event]) -> None:
    """Apply a batch of the gateway's events; types that say nothing here are passed over.

    Raises KeyError or TypeError for an event that is not what the contract says: it is set aside.
    """
    await record_outcomes(conn, events)
    await labels.add(conn, [label for event in events if (label := label_of(event))])
    if reviewed := _reviewed(events).values():
        await _open_cases(conn, reviewed)  # before: rows of case_entity are locked before cases
        moved = moves_of(payment for _, payment in reviewed)
        await _follow_cases(conn, moved, max(event.occurred_at for event in events))


def _reviewed(events: Iterable[Event]) -> dict[str, tuple[datetime, Mapping[str, Any]]]:
    """The reviewed payments among them, each once: its newest version, and when that came to be."""
    newest: dict[str, tuple[datetime, Mapping[str, Any]]] = {}
    for event in events:
        payment: Mapping[str, Any] | None = event.data.get("payment")
        if payment and (payment["risk"] or {}).get("decision") == Decision.REVIEW:
            known = newest.get(payment["id"])
            if known is None or known[1]["version"] < payment["version"]:
                newest[payment["id"]] = event.occurred_at, payment
    return newest


async def _open_cases(conn: AsyncConnection, reviewed: Iterable[tuple[datetime, Mapping[str, Any]]]) -> None:
    """A case for what the gateway held while it heard nothing from here; a late assessment may have opened one."""
    held = [
        (at, payment)
        for at, payment in reviewed
        if payment["risk"].get("fallback") and _STATUSES.get(payment["status"]) is PaymentStatus.HELD
    ]
    if held:
        rule_set = await _live_rule_set(conn)
        await case_intake.open_once(conn, [review_of_hold(payment, rule_set, at) for at, payment in held])


async def _live_rule_set(conn: AsyncConnection) -> RuleSet:
    """By whose rates amounts are sized; the packaged one until a set is published, or where it is newer code's."""
    live = await rule_sets.live(conn)
    document = await rule_sets.document(conn, live.rule_set) if live else None
    with suppress(InvalidRuleSet):
        if document is not None:
            return parse_rule_set(document)
    return parse_rule_set(read_rule_document(PACKAGED))


def moves_of(reviewed: Iterable[Mapping[str, Any]]) -> list[Moved]:
    """How they stand."""
    return [
        Moved(
            payment_id=payment["id"],
            assessment_id=payment["risk"].get("assessment_id"),
            status=_STATUSES.get(payment["status"], PaymentStatus.UNKNOWN),
            version=payment["version"],
            is_manual=payment["capture"] == "manual",
        )
        for payment in reviewed
    ]


async def _follow_cases(conn: AsyncConnection, moved: Sequence[Moved], now: datetime) -> None:
    """Note it, and close the cases in which nothing is left to take or to give up: nobody need look at them."""
    acts, told = [], []
    for case in await case_payments.move_payments(conn, moved):
        ended = machine.closed(case, ENGINE, now)
        await cases.save(conn, ended)
        told.append(case_event(CLOSED, ended, now))
        acts.append(act_of(ENGINE, "ended", case, ended, "Every payment of it ended without money."))
    await cases.record_acts(conn, acts)
    await outbox.append(conn, tables.outbox, told)
