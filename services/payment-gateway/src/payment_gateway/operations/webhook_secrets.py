"""The keys that webhooks are signed with, sealed wherever they lie in the database.

A stored key is `sealed:` with the id of its key-encryption key and the ciphertext, bound to its endpoint and to what it
is. A text without that prefix is one from before, or of a process without a vault, and is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from payment_gateway.domain.envelope import SEALED_PREFIX, Keyring, UnknownKey, sealing_key_of
from payment_gateway.domain.webhook_endpoint import Endpoint, RetiringKeys
from payment_gateway.domain.webhook_keys import Keys
from payment_gateway.operations.vault import Vault
from payment_gateway.store import webhook_endpoints
from platform_kit.logging import get_logger

BATCH: Final = 200

log = get_logger(__name__)

Turn = Callable[[str, str], str]  # (bound to, text) -> text


def sealed(vault: Vault, endpoint: Endpoint) -> Endpoint:
    """An endpoint as it may be stored: under the newest key, or as it is in a process without a vault."""
    if vault.keyring is None:
        return endpoint
    return _turned(endpoint, vault.keyring.seal_text)


def opened(vault: Vault, endpoint: Endpoint) -> Endpoint:
    """A stored endpoint with keys that sign. Raises UnknownKey, Tampered."""
    return _turned(endpoint, _opener(vault.keyring))


def opened_keys(vault: Vault, endpoint_id: str, keys: Sequence[Keys]) -> list[Keys]:
    """Stored keys of one endpoint as keys that sign. Raises UnknownKey, Tampered."""
    turn = _opener(vault.keyring)
    return [_turned_keys(endpoint_id, one, turn) for one in keys]


async def rotate_webhook_secrets(vault: Vault, engine: AsyncEngine, batch: int = BATCH) -> int:
    """Bring every endpoint's keys under the newest key-encryption key, plain ones too; returns how many endpoints.

    Does nothing where there is no vault. May run anywhere and at once. Raises UnknownKey and Tampered; the batch that
    holds such a key stays as it was.
    """
    if vault.keyring is None:
        return 0
    done = 0
    while True:
        async with engine.begin() as connection:
            old = await webhook_endpoints.lock_old(connection, vault.keyring.sealed_by_newest, batch)
            for endpoint in old:
                await webhook_endpoints.rewrite_keys(connection, sealed(vault, opened(vault, endpoint)))
        done += len(old)
        if not old:
            break
    if done:
        log.info("webhook secrets sealed", endpoints=done)
    return done


def _opener(keyring: Keyring | None) -> Turn:
    def turn(bound_to: str, stored: str) -> str:
        if not stored.startswith(SEALED_PREFIX):
            return stored
        if keyring is None:
            raise UnknownKey(sealing_key_of(stored))
        return keyring.open_text(bound_to, stored)

    return turn


def _turned(endpoint: Endpoint, turn: Turn) -> Endpoint:
    return replace(
        endpoint,
        keys=_turned_keys(endpoint.id, endpoint.keys, turn),
        retiring=[
            RetiringKeys(_turned_keys(endpoint.id, one.keys, turn), one.expires_at)
            for one in endpoint.retiring
        ],
    )


def _turned_keys(endpoint_id: str, keys: Keys, turn: Turn) -> Keys:
    private = keys.private_key
    return Keys(
        turn(f"secret {endpoint_id}", keys.secret),
        turn(f"private-key {endpoint_id}", private) if private is not None else None,
    )
