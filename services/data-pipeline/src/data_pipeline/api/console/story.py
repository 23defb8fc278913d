"""The steps of a payment's timeline: its events, each with what it caused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from data_pipeline.operations.show_payment import PaymentStory

TITLES: Final = {
    "payment.created.v1": "Payment created",
    "payment.updated.v1": "Payment changed",
    "payment.confirmed.v1": "Confirmed by the merchant",
    "payment.requires_action.v1": "Payer must act",
    "payment.authorised.v1": "Authorised",
    "payment.captured.v1": "Captured",
    "payment.declined.v1": "Declined",
    "payment.failed.v1": "Failed",
    "payment.unknown.v1": "Outcome unknown: the channel did not answer",
    "payment.cancelled.v1": "Cancelled",
    "payment.voided.v1": "Voided",
    "payment.expired.v1": "Expired",
    "payment.rerouted.v1": "Sent to another channel: the first did not process it",
    "payment.late_success.v1": "Charged after all, too late: is being given back",
    "payment.late_reversed.v1": "Late charge given back",
    "refund.created.v1": "Refund requested",
    "refund.succeeded.v1": "Refunded",
    "refund.failed.v1": "Refund failed",
    "ledger.transfer_posted.v1": "Ledger transfer",
    "assessment.made.v1": "Risk assessed",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One event. `since` is the time from the step before; `transfers` are what it posted."""

    title: str
    status: str
    at: datetime
    since: timedelta | None
    stream: str
    position: int
    attempt: dict[str, Any] | None
    assessment: dict[str, Any] | None
    transfers: list[dict[str, Any]]
    refund: dict[str, Any] | None
    envelope: Any


def steps_of(story: PaymentStory) -> list[Step]:
    """Events in time order, each with its transfers, attempt and assessment."""
    posted: dict[str, list[dict[str, Any]]] = {}
    for transfer in story.transfers:
        posted.setdefault(transfer["event_id"], []).append(transfer)
    assessments = {one["assessment_id"]: one for one in story.assessments}
    steps: list[Step] = []
    for event in story.events:
        data = event["payload"].get("data", {})
        steps.append(
            Step(
                title=TITLES.get(event["type"], event["type"]),
                status=_status(event["type"], data),
                at=event["occurred_at"],
                since=event["occurred_at"] - steps[-1].at if steps else None,
                stream=event["stream"],
                position=event["position"],
                attempt=data.get("attempt"),
                assessment=assessments.get(event["aggregate_id"]),
                transfers=posted.get(event["event_id"], []),
                refund=data.get("refund"),
                envelope=event["payload"],
            )
        )
    return steps


def _status(event_type: str, data: dict[str, Any]) -> str:
    """The word whose tone the step has."""
    noun, _, verb = event_type.removesuffix(".v1").partition(".")
    if noun == "assessment":
        return str(data.get("assessment", {}).get("decision", "none"))
    if noun == "ledger":
        return "balanced"
    return {"created": "processing" if noun == "payment" else "pending"}.get(verb, verb)
