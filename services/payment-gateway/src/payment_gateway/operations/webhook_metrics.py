"""What webhooks tell Prometheus. An operator asks: do they go out, how do receivers answer, who was given up?"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from payment_gateway.domain.webhook import Answer

webhook_attempts_total = Counter(
    "webhook_attempts_total", "Attempts by how the receiver answered: a status class, or why there was no answer.",
    ["outcome"],
)  # fmt: skip
webhook_attempt_seconds = Histogram(
    "webhook_attempt_seconds",
    "Time until the receiver answered.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
webhook_first_attempt_delay_seconds = Histogram(
    "webhook_first_attempt_delay_seconds",
    "From the event to the start of its first attempt (W1: 99.9 % within 30 s); replays do not count.",
    buckets=(0.25, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
webhook_dead_total = Counter("webhook_dead_total", "Deliveries given up, by cause.", ["cause"])
webhook_fanned_out_position = Gauge(
    "webhook_fanned_out_position", "Position up to which events are deliveries; compare with outbox_position."
)
webhook_endpoints_disabled_total = Counter(
    "webhook_endpoints_disabled_total",
    "Endpoints that we disabled by ourselves: `gone` (410) or `failing`.",
    ["reason"],
)
webhook_blocked_total = Counter(
    "webhook_blocked_total", "Attempts that were not sent because their address is not of the open Internet."
)


def outcome_of(answer: Answer) -> str:
    """A bounded label: 2xx to 5xx, `other`, or a slug of ours."""
    if answer.status is None:
        return answer.error or "unknown"
    return f"{answer.status // 100}xx" if 100 <= answer.status < 600 else "other"


def observe_attempt(answer: Answer, seconds: float, *, is_dead: bool) -> None:
    """One attempt that was recorded."""
    webhook_attempts_total.labels(outcome_of(answer)).inc()
    webhook_attempt_seconds.observe(seconds)
    if answer.error == "not-allowed":
        webhook_blocked_total.inc()
    if is_dead:
        webhook_dead_total.labels("gone" if answer.status == 410 else "schedule_over").inc()
