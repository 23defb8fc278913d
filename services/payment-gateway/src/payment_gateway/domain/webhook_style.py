"""How an endpoint wants to be spoken to: the body of a message, and headers beyond those of Standard Webhooks.

`native` is the event as `GET /v1/events` shows it. `stripe` adds `Stripe-Signature`, so that an unmodified Stripe
client verifies it, around the event in Stripe's shape.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson

from payment_gateway.domain import stripe_objects
from payment_gateway.domain.stripe_objects.tellings import tellings, told_id
from payment_gateway.domain.versions import CURRENT, shown_at
from platform_kit.clock import isoformat

NATIVE: Final = "native"
STRIPE: Final = "stripe"
STYLES: Final = (NATIVE, STRIPE)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it lies in the outbox; `data` is its JSON text."""

    id: str
    type: str
    aggregate_id: str
    merchant_id: str | None
    occurred_at: datetime
    data: str
    shown_at: str = CURRENT
    """The API version to which the merchant is pinned."""
    aspect: str = ""
    """Which of an event's tellings, where the style has several (domain/stripe_objects/tellings.py)."""
    customer: Mapping[str, Any] | None = None
    """What the payment has of its payer, sealed: the merchant's own data, which the outbox does not hold."""

    @property
    def message_id(self) -> str:
        """The webhook-id: the same for every attempt, and another one for each telling."""
        return told_id(self.id, self.aspect)


def native_body(event: StoredEvent) -> bytes:
    """The envelope as GET /v1/events shows it: without the position, which would tell the platform's volume."""
    return orjson.dumps(
        {
            "id": event.id,
            "type": event.type,
            "occurred_at": isoformat(event.occurred_at),
            "aggregate_id": event.aggregate_id,
            "merchant_id": event.merchant_id,
            "data": _data(event),
        }
    )


def _data(event: StoredEvent) -> Any:
    """As stored, unless the merchant is pinned to an older shape."""
    if event.shown_at == CURRENT:
        return orjson.Fragment(event.data)
    return shown_at(event.shown_at, orjson.loads(event.data))


def stripe_body(event: StoredEvent) -> bytes:
    """The same event as an event of Stripe's."""
    newest = replace(event, shown_at=CURRENT)
    return orjson.dumps(stripe_objects.told_as(orjson.loads(native_body(newest)), event.aspect))


RENDERERS: Final[dict[str, Callable[[StoredEvent], bytes]]] = {NATIVE: native_body, STRIPE: stripe_body}
"""Style -> body. A style without an entry of its own gets the native body."""


def render_event(style: str, event: StoredEvent) -> bytes:
    """The body of a message in an endpoint's style: the same bytes for every attempt while the pin stays."""
    return RENDERERS.get(style, native_body)(event)


def messages_of(
    style: str, names: Sequence[str] | None, event_id: str, kind: str, data: Mapping[str, Any] | None
) -> list[str]:
    """The ids of the messages that an event is to an endpoint of this style, which asked for `names` (None = all).

    Natively one, under the event's own id; for Stripe's clients one for each of its tellings. `data` is needed then.
    """
    if style != STRIPE:
        return [event_id]
    return [told_id(event_id, one.aspect) for one in tellings(kind, data or {}, names)]


def style_headers(style: str, secrets: Sequence[str], timestamp_s: int, body: bytes) -> dict[str, str]:
    """What a style adds to the headers of Standard Webhooks; nothing for `native`."""
    if style != STRIPE:
        return {}
    signatures = (f"v1={_stripe_mac(secret, timestamp_s, body)}" for secret in secrets)
    return {"Stripe-Signature": ",".join([f"t={timestamp_s}", *signatures])}


def _stripe_mac(secret: str, timestamp_s: int, body: bytes) -> str:
    """Stripe keys its HMAC with the secret as it is shown, prefix included."""
    return hmac.new(secret.encode(), f"{timestamp_s}.".encode() + body, hashlib.sha256).hexdigest()
