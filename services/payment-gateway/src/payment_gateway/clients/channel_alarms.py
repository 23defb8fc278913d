"""What channels do that somebody must look at: counted for the alert, and written to the log."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

from platform_kit.logging import get_logger

CONTRADICTIONS: Final = frozenset({"answer-differs-from-request", "answer-for-another-key"})

channel_contradictions_total = Counter(
    "channel_contradictions_total",
    "Answers and reports over another amount, currency or key than was asked for; each made a payment UNKNOWN.",
    ["channel", "code"],
)

log = get_logger(__name__)


def contradiction(channel: str, code: str) -> None:
    """A channel spoke of something else than it was asked: nothing of it is believed."""
    channel_contradictions_total.labels(channel, code).inc()
    log.error("a channel contradicts what it was asked", channel=channel, code=code)
