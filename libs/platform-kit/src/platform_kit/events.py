"""An event as a value: a fact in the past tense, and its envelope, which is the same on streams, API and
webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from platform_kit import telemetry
from platform_kit.clock import isoformat


@dataclass(frozen=True, slots=True)
class Event:
    """A fact in the past tense. `data` is JSON-ready; `type` ends in its version: `payment.captured.v1`."""

    id: str
    type: str
    aggregate_id: str
    data: Mapping[str, Any]
    occurred_at: datetime
    merchant_id: str | None = None
    traceparent: str | None = field(default_factory=telemetry.current_traceparent)
    position: int | None = None

    def envelope(self) -> dict[str, Any]:
        """The JSON object that streams, the events API and webhooks carry."""
        return {
            "id": self.id,
            "type": self.type,
            "position": self.position,
            "occurred_at": isoformat(self.occurred_at),
            "aggregate_id": self.aggregate_id,
            "merchant_id": self.merchant_id,
            "traceparent": self.traceparent,
            "data": dict(self.data),
        }

    @classmethod
    def from_envelope(cls, envelope: Mapping[str, Any]) -> Self:
        """The event of an envelope. Raises KeyError, TypeError or ValueError when it is none."""
        return cls(
            id=envelope["id"],
            type=envelope["type"],
            aggregate_id=envelope["aggregate_id"],
            data=envelope["data"],
            occurred_at=datetime.fromisoformat(envelope["occurred_at"]),
            merchant_id=envelope.get("merchant_id"),
            traceparent=envelope.get("traceparent"),
            position=int(envelope["position"]),
        )


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in position order, and the highest position that exists."""

    events: Sequence[Event]
    head: int
