"""Webhooks as Standard Webhooks describes them: the signature, the schedule, and what a receiver's answer means.

The signed text is `id.timestamp.body`. The id is the same over all attempts (receivers dedupe by it), the timestamp
is the attempt's own, so that a replay is told by its age (5 minutes either way).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the public mark of a secret, not one
SECRET_BYTES: Final = 32  # Standard Webhooks: 24 to 64
TOLERANCE_S: Final = 300  # Standard Webhooks' libraries, and Stripe's
SIGNATURES_MAX: Final = 16  # a header may carry one per live secret; more is an attack on our CPU

SCHEDULE: Final = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The pause before each attempt (Standard Webhooks): ten attempts in 75 h 35 min 5 s, plus jitter."""

JITTER: Final = (
    0.1  # a pause grows by up to a tenth, so that an outage's deliveries do not return as one wave
)
RETRY_AFTER_MAX: Final = timedelta(hours=24)  # the longest pause of the schedule; more is no "try later"


class InvalidSignature(ValueError):
    """The headers are missing or malformed, or no signature fits."""


class StaleTimestamp(ValueError):
    """The message was signed too long ago, or in the future."""


def new_secret() -> str:
    """A secret for one receiver: `whsec_` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`. Raises ValueError for a malformed secret."""
    return "v1," + base64.b64encode(_mac(secret, f"{message_id}.{timestamp_s}.".encode(), body)).decode()


def signed_headers(secrets_: Sequence[str], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt; several secrets (a rotation) give several signatures."""
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp_s),
        SIGNATURE_HEADER: " ".join(sign(secret, message_id, timestamp_s, body) for secret in secrets_),
    }


def verify(secret: str, message_id: str, timestamp: str, signatures: str, body: bytes, now_s: float) -> None:
    """Accept a message as received (raw bytes) at `now_s`. Raises InvalidSignature or StaleTimestamp.

    The signature is looked at first: an unsigned message learns nothing about our clock.
    """
    if not (message_id and timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
        raise InvalidSignature("missing or malformed headers")
    expected = _mac(secret, f"{message_id}.{timestamp}.".encode(), body)
    if not any(hmac.compare_digest(expected, given) for given in _given(signatures)):
        raise InvalidSignature("no signature fits")
    if abs(now_s - int(timestamp)) > TOLERANCE_S:
        raise StaleTimestamp("outside the tolerance")


def _given(signatures: str) -> list[bytes]:
    """The well-formed v1 signatures of a header; other versions are for others."""
    found: list[bytes] = []
    for part in signatures.split(" ")[:SIGNATURES_MAX]:
        version, _, encoded = part.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(encoded, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found


def _mac(secret: str, head: bytes, body: bytes) -> bytes:
    encoded = secret.removeprefix(SECRET_PREFIX)
    key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    if not key:
        raise ValueError("a webhook secret may not be empty")
    return hmac.new(key, head + body, hashlib.sha256).digest()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver did with one attempt: a status, or why there was none (`error`, a slug of ours)."""

    status: int | None = None
    error: str | None = None
    retry_after: str | None = None
    """The header as received."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Taken note of."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after this pause."""

    after: timedelta


@dataclass(frozen=True, slots=True)
class Dead:
    """Given up: kept, visible, never sent again by itself."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The receiver wants no more of anything (410): the endpoint is disabled."""


Next = Delivered | Retry | Dead | Gone


def next_step(
    answer: Answer, attempts: int, now: datetime, jitter: Callable[[], float] = random.random
) -> Next:
    """What comes after attempt number `attempts` (counted from 1). `jitter` gives a share between 0 and 1."""
    if answer.status is not None and 200 <= answer.status < 300:
        return Delivered()
    if answer.status == 410:
        return Gone()
    if attempts >= len(SCHEDULE):
        return Dead()
    pause = SCHEDULE[attempts] * (1 + JITTER * jitter())
    return Retry(max(pause, min(_asked_pause(answer.retry_after, now), RETRY_AFTER_MAX)))


def _asked_pause(retry_after: str | None, now: datetime) -> timedelta:
    """Retry-After as a pause: seconds or an HTTP date (RFC 9110 10.2.3). Nonsense asks for nothing."""
    value = (retry_after or "").strip()
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), RETRY_AFTER_MAX.total_seconds()))
    try:
        return max(parsedate_to_datetime(value) - now, timedelta(0))
    except (ValueError, OverflowError, TypeError):  # TypeError: a date without a zone is no HTTP date
        return timedelta(0)
