"""The vault's door: a card goes in and its token comes out; only a channel that is about to be asked gets it back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from payment_gateway.domain.cards import CardNumber
from payment_gateway.domain.envelope import Keyring, SealedCard, UnknownKey, keyring_of
from payment_gateway.settings import Settings
from payment_gateway.store.vault import cards
from platform_kit.db import create_engine
from platform_kit.ids import new_id
from platform_kit.problems import Unavailable

POOL_SIZE: Final = 2  # a card is read or written in under a millisecond


class VaultClosed(Unavailable):
    code, title = "vault-closed", "This gateway runs without a card vault"

    def __init__(self) -> None:
        super().__init__(
            "Neither card numbers nor personal data can be taken here; test tokens can. See docs/vault.md.",
            60,
        )


class NoSuchCard(Exception):
    """The vault has no card of this token, or has forgotten it."""


@dataclass(frozen=True, slots=True)
class Vault:
    """`keyring` and `engine` are None in a process that has no vault: it refuses card numbers and knows no cards."""

    engine: AsyncEngine | None = None
    keyring: Keyring | None = None

    @property
    def is_open(self) -> bool:
        return self.engine is not None and self.keyring is not None

    async def tokenise(self, card: CardNumber) -> SealedCard:
        """Keep a card; the token is the sealed card's id. Raises VaultClosed."""
        engine, keyring = self.opened()
        sealed = keyring.seal(new_id("card"), card)
        async with engine.begin() as connection:
            await cards.insert(connection, sealed)
        return sealed

    async def reveal(self, token: str) -> CardNumber:
        """The card of a token. Raises NoSuchCard, UnknownKey, Tampered, VaultClosed."""
        engine, keyring = self.opened()
        async with engine.connect() as connection:
            sealed = await cards.get(connection, token)
        if sealed is None:
            raise NoSuchCard()
        return keyring.open(sealed)

    async def forget(self, token: str) -> None:
        """Delete a card for good; one that is gone already is gone. Raises VaultClosed."""
        engine, _ = self.opened()
        async with engine.begin() as connection:
            await cards.delete(connection, token)

    async def cards_by_key(self) -> Mapping[str, int]:
        """How many cards each key holds. Raises VaultClosed."""
        engine, _ = self.opened()
        async with engine.connect() as connection:
            return await cards.count_by_kek(connection)

    async def rewrap_some(self, limit: int) -> int:
        """Bring up to `limit` cards under the newest key, in one transaction; returns how many there were.

        Raises UnknownKey before anything is written, Tampered, VaultClosed.
        """
        engine, keyring = self.opened()
        async with engine.begin() as connection:
            old = await cards.lock_old(connection, keyring.newest, limit)
            if old:
                await cards.rewrap(connection, [keyring.rewrap(sealed) for sealed in old])
        return len(old)

    async def check_keys(self) -> None:
        """Raises UnknownKey when a card is under a key that this process does not have."""
        _, keyring = self.opened()
        for key_id in sorted(await self.cards_by_key()):
            if key_id not in keyring.keks:
                raise UnknownKey(key_id)

    def request_fingerprint(self, path: str, body: bytes) -> bytes:
        """A keyed fingerprint of a request that holds a card number. Raises VaultClosed."""
        return self.opened()[1].request_fingerprint(path, body)

    def opened(self) -> tuple[AsyncEngine, Keyring]:
        """Connections and keys, for what else lies in the vault's schema. Raises VaultClosed."""
        if self.engine is None or self.keyring is None:
            raise VaultClosed()
        return self.engine, self.keyring


@asynccontextmanager
async def open_vault(settings: Settings) -> AsyncIterator[Vault]:
    """The vault with its own connections, as its own role; a closed one where no keys are set. Raises InvalidKeys."""
    keys = settings.vault_keys.get_secret_value()
    if not keys:
        yield Vault()
        return
    keyring = keyring_of(keys, settings.vault_fingerprint_key.get_secret_value())
    engine = create_engine(settings, pool_size=POOL_SIZE, url=settings.vault_url(), finds_by_key=True)
    try:
        yield Vault(engine, keyring)
    finally:
        await engine.dispose()
