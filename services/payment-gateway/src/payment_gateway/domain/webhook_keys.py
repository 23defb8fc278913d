"""Signatures that a receiver can check and not forge: ed25519, `v1a` of Standard Webhooks.

Each endpoint has a key pair of its own, so that what was signed for one merchant says nothing to another.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature as WrongSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from payment_gateway.domain.webhook import (
    ID_HEADER,
    SIGNATURE_HEADER,
    SIGNATURES_MAX,
    TIMESTAMP_HEADER,
    InvalidSignature,
    sign,
)

PRIVATE_PREFIX: Final = "whsk_"
PUBLIC_PREFIX: Final = "whpk_"


@dataclass(frozen=True, slots=True)
class Keys:
    """What one endpoint's messages are signed with; `private_key` is None for an endpoint older than v1a."""

    secret: str
    private_key: str | None = None


def new_private_key() -> str:
    """`whsk_` and the 32 bytes of an ed25519 seed in base64."""
    return PRIVATE_PREFIX + base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()


def public_key_of(private_key: str) -> str:
    """`whpk_` and the 32 bytes of the public key in base64: what a merchant may publish."""
    return PUBLIC_PREFIX + base64.b64encode(_private(private_key).public_key().public_bytes_raw()).decode()


def sign_v1a(private_key: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """`v1a,` and the base64 of the ed25519 signature over `id.timestamp.body`."""
    signature = _private(private_key).sign(f"{message_id}.{timestamp_s}.".encode() + body)
    return "v1a," + base64.b64encode(signature).decode()


def verify_v1a(public_key: str, message_id: str, timestamp: str, signatures: str, body: bytes) -> None:
    """Raises InvalidSignature unless one of the header's v1a signatures fits. The caller judges the timestamp's age."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix(PUBLIC_PREFIX)))
    signed = f"{message_id}.{timestamp}.".encode() + body
    for part in signatures.split(" ")[:SIGNATURES_MAX]:
        version, _, encoded = part.partition(",")
        if version == "v1a":
            try:
                key.verify(base64.b64decode(encoded, validate=True), signed)
            except (WrongSignature, ValueError):
                continue
            return
    raise InvalidSignature("no signature fits")


def headers_of(keys: Sequence[Keys], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt: a v1 for each live secret, newest first, then a v1a for each live key."""
    shared = [sign(key.secret, message_id, timestamp_s, body) for key in keys]
    asymmetric = [sign_v1a(key.private_key, message_id, timestamp_s, body) for key in keys if key.private_key]
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp_s),
        SIGNATURE_HEADER: " ".join(shared + asymmetric),
    }


def _private(private_key: str) -> Ed25519PrivateKey:
    seed = base64.b64decode(private_key.removeprefix(PRIVATE_PREFIX), validate=True)
    return Ed25519PrivateKey.from_private_bytes(seed)
