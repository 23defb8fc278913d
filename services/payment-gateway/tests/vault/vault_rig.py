"""Cards for tests, and vaults with other keys than the gateway's."""

from __future__ import annotations

import base64
from typing import Any

from gateway_rig import RunningGateway

from payment_gateway.domain.envelope import Keyring, keyring_of
from payment_gateway.operations.vault import Vault

VISA = "4242424242424242"
SECRET = "fingerprint-key-of-tests-32-bytes-long"


def a_card(number: str = VISA, **changes: Any) -> dict[str, Any]:
    card = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "737"}
    return {"type": "card", "card": card | changes}


def keyring(*key_ids: str, secret: str = SECRET) -> Keyring:
    """Keys by id, the newest first; the key of an id is always the same."""
    keys = (f"{key_id}:{base64.b64encode(key_id[-1].encode() * 32).decode()}" for key_id in key_ids)
    return keyring_of(",".join(keys), secret)


def vault_with(gateway: RunningGateway, *key_ids: str) -> Vault:
    """The gateway's vault as a process with other keys sees it."""
    return Vault(gateway.deps.vault.engine, keyring(*key_ids))


async def save(gateway: RunningGateway, number: str = VISA, **changes: Any) -> dict[str, Any]:
    reply = await gateway.post("/v1/payment-methods", a_card(number, **changes))
    assert reply.status == 201, reply.raw
    return reply.body
