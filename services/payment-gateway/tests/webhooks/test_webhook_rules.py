"""Signature, schedule and what an answer means: pure, so the public library and a fixed clock are the judges."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from payment_gateway.domain.webhook import (
    SCHEDULE,
    Answer,
    Dead,
    Delivered,
    Gone,
    InvalidSignature,
    Retry,
    new_secret,
    next_step,
    sign,
    signed_headers,
    verify,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def no_jitter() -> float:
    return 0.0


# From the specification's own test vectors (standard-webhooks/standard-webhooks, all libraries).
VECTOR_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')


def test_the_signature_is_that_of_the_specification() -> None:
    assert sign(VECTOR_SECRET, *VECTOR) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@settings(deadline=None)
@given(st.text(), st.text("abcXYZ019_-", min_size=1, max_size=60))
def test_the_public_library_accepts_what_we_sign(text: str, message_id: str) -> None:
    secret, body = new_secret(), text.encode()
    now_s = int(datetime.now(UTC).timestamp())
    Webhook(secret).verify(body, signed_headers([secret], message_id, now_s, body), json_parse=False)


def test_while_a_secret_is_replaced_the_old_and_the_new_both_fit() -> None:
    old, new = new_secret(), new_secret()
    now_s = int(datetime.now(UTC).timestamp())
    headers = signed_headers([new, old], "evt_1", now_s, b"{}")
    for secret in (old, new):
        Webhook(secret).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(b"{}", headers)


def test_secrets_are_long_and_never_alike() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(secret.startswith("whsec_") and len(secret) == 50 for secret in secrets)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!"])
def test_a_secret_that_is_none_signs_and_verifies_nothing(secret: str) -> None:
    with pytest.raises(ValueError):
        sign(secret, "evt_1", 1, b"{}")
    with pytest.raises(ValueError):
        verify(secret, "evt_1", "1", "v1,", b"{}", 1)


def test_a_header_of_many_signatures_costs_no_more_than_a_few() -> None:
    good = sign(VECTOR_SECRET, *VECTOR)
    message_id, at_s, body = VECTOR
    verify(VECTOR_SECRET, message_id, str(at_s), " ".join([*["v1,AAAA"] * 15, good]), body, at_s)
    with pytest.raises(InvalidSignature):
        verify(VECTOR_SECRET, message_id, str(at_s), " ".join([*["v1,AAAA"] * 16, good]), body, at_s)


def test_the_schedule_is_that_of_standard_webhooks() -> None:
    assert [int(pause.total_seconds()) for pause in SCHEDULE] == [
        0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400,
    ]  # fmt: skip
    assert sum(SCHEDULE, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)


@pytest.mark.parametrize(
    "answer", [Answer(status=500), Answer(status=404), Answer(status=301), Answer(error="timeout")]
)
def test_a_failure_is_tried_again_by_the_schedule_and_then_given_up(answer: Answer) -> None:
    steps = [next_step(answer, attempt, NOW, no_jitter) for attempt in range(1, 11)]
    assert steps == [*(Retry(pause) for pause in SCHEDULE[1:]), Dead()]


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_delivered_on_any_attempt(status: int) -> None:
    assert {next_step(Answer(status=status), attempt, NOW) for attempt in (1, 5, 10)} == {Delivered()}


def test_410_ends_it_at_once() -> None:
    assert next_step(Answer(status=410), 1, NOW) == Gone()


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(1, 9))
def test_jitter_only_ever_adds_and_at_most_a_tenth(share: float, attempt: int) -> None:
    step = next_step(Answer(status=500), attempt, NOW, lambda: share)
    assert isinstance(step, Retry)
    assert SCHEDULE[attempt] <= step.after <= SCHEDULE[attempt] * 1.1


@pytest.mark.parametrize(
    ("retry_after", "pause_s"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("1", 5),  # never sooner than the schedule
        ("0", 5),
        ("99999999999999999999", 24 * 3600),
        (format_datetime(NOW + timedelta(minutes=10), usegmt=True), 600),
        (format_datetime(NOW - timedelta(minutes=10), usegmt=True), 5),
        (format_datetime(NOW + timedelta(days=400), usegmt=True), 24 * 3600),
        ("soon", 5), ("-5", 5), ("1.5", 5), ("", 5), (None, 5), ("٣٠٠", 5),
        ("Mon, 23 Nov 9999999 12:00:00 GMT", 5), ("Mon, 23 Nov 2026 12:10:00", 5),
    ],
)  # fmt: skip
def test_retry_after_may_make_it_later_within_a_day(retry_after: str | None, pause_s: int) -> None:
    step = next_step(Answer(status=429, retry_after=retry_after), 1, NOW, no_jitter)
    assert step == Retry(timedelta(seconds=pause_s))
