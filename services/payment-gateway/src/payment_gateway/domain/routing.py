"""Which channel takes a payment. A first rule: by method; health and success rates join here later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CHANNELS_BY_METHOD: Final = {"card": ("card_sim",), "wallet": ("wallet_sim",)}
"""Channels that can carry a method, in order of preference."""


@dataclass(frozen=True, slots=True)
class Route:
    """The choice and why it was made; stored with the payment's first event."""

    channel: str
    reason: str


class NoRoute(Exception):
    """No channel that could take this payment is open."""


def choose(method: str, closed: frozenset[str] = frozenset()) -> Route:
    """The first channel for `method` whose breaker is not open. Raises NoRoute."""
    for channel in CHANNELS_BY_METHOD[method]:
        if channel not in closed:
            return Route(channel, f"first open channel for {method}")
    raise NoRoute(method)
