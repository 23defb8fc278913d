"""What the gateway's events mean here, applied in the transaction that moves the cursor: outcomes for the velocity
windows, labels, and how the payments of cases stand."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.outbox import Event
from risk_engine.domain import cases as machine
from risk_engine.domain.cases import PaymentStatus, act_of
from risk_engine.domain.decision import Decision
from risk_engine.domain.staff import ENGINE
from risk_engine.operations.record_labels import label_of
from risk_engine.operations.record_outcomes import record_outcomes
from risk_engine.store import cases, labels
from risk_engine.store.cases import Moved

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
    if moved := moves_of(events):
        await _follow_cases(conn, moved, max(event.occurred_at for event in events))


def moves_of(events: Iterable[Event]) -> list[Moved]:
    """How the reviewed payments among them stand, each once: by its newest version."""
    newest: dict[str, Mapping[str, Any]] = {}
    for event in events:
        payment: Mapping[str, Any] | None = event.data.get("payment")
        if payment and (payment["risk"] or {}).get("decision") == Decision.REVIEW:
            known = newest.get(payment["id"])
            if known is None or known["version"] < payment["version"]:
                newest[payment["id"]] = payment
    return [
        Moved(
            payment_id=payment["id"],
            assessment_id=payment["risk"].get("assessment_id"),
            status=_STATUSES.get(payment["status"], PaymentStatus.UNKNOWN),
            version=payment["version"],
            is_manual=payment["capture"] == "manual",
        )
        for payment in newest.values()
    ]


async def _follow_cases(conn: AsyncConnection, moved: Sequence[Moved], now: datetime) -> None:
    """Note it, and close the cases in which nothing is left to take or to give up: nobody need look at them."""
    acts = []
    for case in await cases.move_payments(conn, moved):
        ended = machine.closed(case, ENGINE, now)
        await cases.save(conn, ended)
        acts.append(act_of(ENGINE, "ended", case, ended, "Every payment of it ended without money."))
    await cases.record_acts(conn, acts)
