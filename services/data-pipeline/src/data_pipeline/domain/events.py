"""The event envelope, and the types of event that this service understands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from data_pipeline.domain.members import (
    ContractViolation,
    integer,
    object_,
    text,
    text_or_none,
    time,
)

POSITION_MAX: Final = 2**62

PAYMENT_EVENTS: Final = frozenset(
    f"{name}.v1"
    for name in (
        "payment.created",
        "payment.updated",
        "payment.confirmed",
        "payment.requires_action",
        "payment.authorised",
        "payment.captured",
        "payment.declined",
        "payment.failed",
        "payment.unknown",
        "payment.cancelled",
        "payment.voided",
        "payment.expired",
        "payment.rerouted",
        "payment.late_success",
        "payment.late_reversed",
        "refund.created",
        "refund.succeeded",
        "refund.failed",
        "dispute.opened",
        "dispute.updated",
        "dispute.won",
        "dispute.lost",
        "payout.created",
        "payout.in_transit",
        "payout.paid",
        "payout.failed",
        "payout.returned",
        "payout.cancelled",
        "balance.settled",
        "balance.converted",
        "reserve.held",
        "reserve.released",
        "channel.costs_booked",
        "suspense.booked",
        "suspense.resolved",
        "ledger.transfer_posted",
        "ledger.hold_placed",
        "ledger.hold_posted",
        "ledger.hold_voided",
        "ledger.hold_expired",
        "ledger.journal_reversed",
    )
)
# Told to merchants about their own webhook endpoints: kept in the event store, no fact in them.
ENDPOINT_EVENTS: Final = frozenset({"webhook_endpoint.disabled.v1", "webhook_endpoint.ping.v1"})
MERCHANT_EVENTS: Final = frozenset({"merchant.created.v1", "merchant.updated.v1"})
WEBHOOKS_ATTEMPTED: Final = "webhook_delivery.attempted.v1"
CASE_EVENTS: Final = frozenset({"case.opened.v1", "case.updated.v1", "case.decided.v1", "case.closed.v1"})
RISK_EVENTS: Final = CASE_EVENTS | {
    "assessment.made.v1",
    "risk.alert_raised.v1",
    "risk.alert_resolved.v1",
    "appeal.made.v1",
    "appeal.decided.v1",
}


class Fault(StrEnum):
    """Why an event is set aside."""

    NOT_AN_ENVELOPE = "not_an_envelope"
    UNKNOWN_TYPE = "unknown_type"
    CONTRACT_VIOLATION = "contract_violation"


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that gives no facts; `detail` names the member at fault, never its value."""

    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every event has, whatever its type. `position` is dense within its stream."""

    id: str
    type: str
    position: int
    occurred_at: datetime
    aggregate_id: str
    merchant_id: str | None
    data: Mapping[str, Any]


def read_envelope(raw: object) -> Envelope:
    """The envelope of an event as received. Raises ContractViolation."""
    if not isinstance(raw, Mapping):
        raise ContractViolation("The event is not a JSON object")
    return Envelope(
        id=text(raw, "id"),
        type=text(raw, "type"),
        position=integer(raw, "position", 1, POSITION_MAX),
        occurred_at=time(raw, "occurred_at"),
        aggregate_id=text(raw, "aggregate_id"),
        merchant_id=text_or_none(raw, "merchant_id"),
        data=object_(raw, "data"),
    )
