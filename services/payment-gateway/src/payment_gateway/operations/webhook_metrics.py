"""What webhooks tell Prometheus. An operator asks: do they go out, how do receivers answer, who was given up?"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from payment_gateway.domain.webhook import Answer
from payment_gateway.store.webhooks import FirstAttempt

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
    "From the event to its first attempt (W1: 99.9 % within 30 s) at an endpoint that is `well`, or `failing`: its "
    "latest attempts failed. Replays do not count.",
    ["receiver"],
    buckets=(0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)
webhook_waiting_seconds = Gauge(
    "webhook_waiting_seconds",
    "Age of the oldest event that waits for its first attempt at a receiver that is well.",
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


def observe_attempt(
    answer: Answer, seconds: float, *, is_dead: bool, first: FirstAttempt | None = None
) -> None:
    """One attempt that was recorded."""
    if first is not None and answer.error != "not-rendered":
        webhook_first_attempt_delay_seconds.labels("failing" if first.is_failing else "well").observe(
            first.age_s
        )
    webhook_attempts_total.labels(outcome_of(answer)).inc()
    webhook_attempt_seconds.observe(seconds)
    if answer.error == "not-allowed":
        webhook_blocked_total.inc()
    if is_dead:
        webhook_dead_total.labels("gone" if answer.status == 410 else "schedule_over").inc()
