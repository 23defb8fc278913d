"""What channels do that somebody must look at: counted for the alert, and written to the log."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

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


late_successes_total = Counter(
    "channel_late_successes_total",
    "Charges that turned out real after we had given up; each is given back.",
    ["channel"],
)
reversals_refused_total = Counter(
    "channel_reversals_refused_total",
    "Late charges that a channel does not want to give back: a person must.",
    ["channel"],
)
reports_refused_total = Counter(
    "channel_reports_refused_total",
    "Parked reports that turned out not to be as agreed: a person must look at them.",
    ["channel"],
)
parked_events = Gauge("channel_parked_events", "Reports of channels that wait for what they are about.")
parked_oldest_seconds = Gauge("channel_parked_oldest_seconds", "Age of the oldest of them.")


def late_success(channel: str, attempt_id: str) -> None:
    late_successes_total.labels(channel).inc()
    log.error("a channel did what we had given up on", channel=channel, attempt_id=attempt_id)


def reversal_refused(channel: str, attempt_id: str, code: str) -> None:
    reversals_refused_total.labels(channel).inc()
    log.error("a channel does not give a late charge back", channel=channel, attempt_id=attempt_id, code=code)


def report_refused(channel: str, event_id: str, code: str) -> None:
    reports_refused_total.labels(channel).inc()
    log.error("a parked report is not as agreed", channel=channel, channel_event_id=event_id, code=code)


def observe_parked(count: int, oldest_s: float) -> None:
    parked_events.set(count)
    parked_oldest_seconds.set(oldest_s)
