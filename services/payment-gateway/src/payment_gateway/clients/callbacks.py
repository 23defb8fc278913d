"""What a channel reports by itself, verified before anything of it is believed."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from payment_gateway.domain import webhook
from platform_kit.body import loads_strict
from platform_kit.problems import MalformedJson, Problem

KEY_LENGTH_MAX = 255
EVENT_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")  # no dot: the signed text joins id, timestamp and body by dots


class InvalidSignature(Problem):
    status, code, title = 400, "invalid-signature", "The report is not signed by this channel"


class StaleTimestamp(Problem):
    status, code, title = 400, "stale-timestamp", "The report was signed too long ago, or in the future"


def verify_callback(
    secret: str, headers: Mapping[str, str], raw: bytes, *, now_s: float | None = None
) -> tuple[str, dict[str, Any]]:
    """The event's id and its parsed body, which has a text `channel_key`. `headers` have lower-case names.

    Verified over the raw bytes, then parsed. Raises InvalidSignature, StaleTimestamp, MalformedJson.
    """
    event_id = headers.get(webhook.ID_HEADER, "")
    if not EVENT_ID.fullmatch(event_id):
        raise InvalidSignature()
    try:
        webhook.verify(
            secret,
            event_id,
            headers.get(webhook.TIMESTAMP_HEADER, ""),
            headers.get(webhook.SIGNATURE_HEADER, ""),
            raw,
            time.time() if now_s is None else now_s,
        )
    except webhook.InvalidSignature:
        raise InvalidSignature() from None
    except webhook.StaleTimestamp:
        raise StaleTimestamp() from None
    body = loads_strict(raw)
    if not isinstance(body, dict) or not _is_key(body.get("channel_key")):
        raise MalformedJson("The report names no channel_key.")
    return event_id, body


def _is_key(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= KEY_LENGTH_MAX
