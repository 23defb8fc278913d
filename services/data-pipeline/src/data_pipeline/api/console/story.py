"""The steps of a payment's timeline: its events, each with what it caused, and what the gateway adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from data_pipeline.api.console.render import counted
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
    """One thing that happened. `since` is the time from the step before; `transfers` are what it posted; `notes` are
    lines in words; `raw` is what was received of it."""

    title: str
    status: str
    at: datetime
    source: str
    raw: Any
    since: timedelta | None = None
    attempt: dict[str, Any] | None = None
    assessment: dict[str, Any] | None = None
    transfers: list[dict[str, Any]] = field(default_factory=list)
    refund: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    traceparent: str | None = None

    @property
    def trace_id(self) -> str | None:
        """Of W3C's traceparent, version-trace-span-flags."""
        parts = (self.traceparent or "").split("-")
        return parts[1] if len(parts) == 4 else None


def steps_of(story: PaymentStory, history: Mapping[str, Any] | None = None) -> list[Step]:
    """Events with their transfers, attempt and assessment, and what the gateway adds, in time order."""
    told = sorted([*_events(story), *_from_gateway(history)], key=lambda step: step.at)
    return [
        replace(step, since=step.at - before.at if before else None)
        for before, step in zip([None, *told], told, strict=False)
    ]


def _events(story: PaymentStory) -> Iterator[Step]:
    posted: dict[str, list[dict[str, Any]]] = {}
    for transfer in story.transfers:
        posted.setdefault(transfer["event_id"], []).append(transfer)
    assessments = {one["assessment_id"]: one for one in story.assessments}
    for event in story.events:
        data = event["payload"].get("data", {})
        yield Step(
            title=TITLES.get(event["type"], event["type"]),
            status=_status(event["type"], data),
            at=event["occurred_at"],
            source=f"{event['stream']} {event['position']:,}",
            raw=event["payload"],
            attempt=data.get("attempt"),
            assessment=assessments.get(event["aggregate_id"]),
            transfers=posted.get(event["event_id"], []),
            refund=data.get("refund"),
            traceparent=event["payload"].get("traceparent"),
        )


def _from_gateway(history: Mapping[str, Any] | None) -> Iterator[Step]:
    """Routes, webhook deliveries and acts of operators: no events tell of them."""
    if history is None:
        return
    for route in history["routes"]:
        others = [
            f"not {one['channel']}: {one['reason']}"
            for one in route["candidates"] or ()
            if one.get("channel") != route["channel"] and one.get("reason")
        ]
        yield Step(
            f"Routed to {route['channel']}",
            "updated",
            datetime.fromisoformat(route["decided_at"]),
            "gateway",
            route,
            notes=[f"{route['reason']} (rule {route['rule']})", *others],
        )
    for delivery in history["deliveries"]:
        ended = delivery["delivered_at"] or delivery["created_at"]
        answered = delivery["last_status_code"] or delivery["last_error"] or "not tried yet"
        yield Step(
            f"Webhook {delivery['event_type']}",
            DELIVERIES[delivery["status"]],
            datetime.fromisoformat(ended),
            "gateway",
            delivery,
            notes=[f"{delivery['url']}: {answered}, {counted(delivery['attempt_count'], 'attempt')}"],
        )
    for act in history["acts"]:
        verb = act["action"].rpartition(".")[2]
        yield Step(
            f"{verb.replace('_', ' ').capitalize()} asked for by {act['operator']}",
            "updated",
            datetime.fromisoformat(act["created_at"]),
            "audit log",
            act,
            notes=[str(act["details"].get("reason", ""))],
        )


DELIVERIES: Final = {"due": "pending", "delivered": "succeeded", "dead": "failed"}


def _status(event_type: str, data: dict[str, Any]) -> str:
    """The word whose tone the step has."""
    noun, _, verb = event_type.removesuffix(".v1").partition(".")
    if noun == "assessment":
        return str(data.get("assessment", {}).get("decision", "none"))
    if noun == "ledger":
        return "balanced"
    return {"created": "processing" if noun == "payment" else "pending"}.get(verb, verb)
