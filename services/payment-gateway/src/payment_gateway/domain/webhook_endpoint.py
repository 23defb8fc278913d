"""The public shape of a webhook endpoint, and how long one may fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from payment_gateway.domain.webhook_keys import Keys, public_key_of
from payment_gateway.domain.webhook_style import NATIVE
from platform_kit.clock import isoformat

FAILING_MAX: Final = timedelta(hours=120)  # as Svix: longer than one message's whole schedule (75 h 35 min)
FAILURE_GAP_MAX: Final = timedelta(hours=27)
"""The longest pause of the schedule with its jitter. A longer silence ends a row of failures: two lone ones a week
apart are no outage."""
RETIRING_MAX: Final = 4  # secrets that still sign beside the newest one
PING: Final = "webhook_endpoint.ping.v1"
DISABLED: Final = "webhook_endpoint.disabled.v1"


@dataclass(frozen=True, slots=True)
class RetiringKeys:
    """Keys that were replaced and sign until `expires_at`."""

    keys: Keys
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a merchant wants to be told. `event_types` None = of everything; `x.*` stands for all that begin so.
    `event_names`: what of those types, in the words of its style; None = all that they are told as."""

    id: str
    merchant_id: str
    url: str
    keys: Keys
    created_at: datetime
    enabled: bool = True
    event_types: Sequence[str] | None = None
    event_names: Sequence[str] | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    style: str = NATIVE
    retiring: Sequence[RetiringKeys] = ()
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None

    def live_keys(self, now: datetime) -> list[Keys]:
        """The newest first, then those whose overlap lasts."""
        return [self.keys, *(one.keys for one in self.retiring if one.expires_at > now)]


def endpoint_object(endpoint: Endpoint, now: datetime) -> dict[str, Any]:
    """What a merchant sees of an endpoint at `now`: never a secret."""
    live = endpoint.live_keys(now)
    shown = {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "url": endpoint.url,
        "enabled": endpoint.enabled,
        "event_types": list(endpoint.event_types) if endpoint.event_types is not None else None,
        "description": endpoint.description,
        "metadata": dict(endpoint.metadata),
        "style": endpoint.style,
        "public_keys": [public_key_of(keys.private_key) for keys in live if keys.private_key],
        "retiring_secrets": [
            {"expires_at": isoformat(one.expires_at)} for one in endpoint.retiring if one.expires_at > now
        ],
        "failing_since": _time(endpoint.failing_since),
        "disabled_at": _time(endpoint.disabled_at),
        "disabled_reason": endpoint.disabled_reason,
        "created_at": isoformat(endpoint.created_at),
    }
    return shown if endpoint.event_names is None else shown | {"event_names": list(endpoint.event_names)}


def _time(value: datetime | None) -> str | None:
    return isoformat(value) if value is not None else None
