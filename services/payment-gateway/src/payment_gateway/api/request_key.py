"""The idempotency key of a native request."""

from __future__ import annotations

from starlette.requests import Request

from payment_gateway.api.card_data import idempotency_key_of
from payment_gateway.api.versions import keyed_path
from platform_kit.idempotency import Fingerprint, IdempotencyKey, fingerprint_of


async def request_key(request: Request, fingerprint: Fingerprint = fingerprint_of) -> IdempotencyKey:
    """It counts on this merchant's route. Raises KeyMissing, KeyInvalid or CardDataNotAllowed."""
    return IdempotencyKey(idempotency_key_of(request), fingerprint(keyed_path(request), await request.body()))
