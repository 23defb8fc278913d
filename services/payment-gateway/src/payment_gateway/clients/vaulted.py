"""A channel that is told the card itself: the vault's token is exchanged for it at the last moment before sending."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from payment_gateway.clients.channels import Channel
from payment_gateway.domain.attempt import Attempt, NotProcessed, Outcome
from payment_gateway.domain.cards import CardNumber
from payment_gateway.domain.customer import is_vault_token
from platform_kit import canonical
from platform_kit.logging import get_logger

Reveal = Callable[[str], Awaitable[CardNumber]]

log = get_logger(__name__)


class VaultedChannel:
    """`channel` as it is, for everything but an authorisation of a vaulted card. No transaction is open here, and the
    number lives as long as the question."""

    def __init__(self, channel: Channel, reveal: Reveal) -> None:
        self.name = channel.name
        self.channel = channel
        self._reveal = reveal

    @property
    def is_open(self) -> bool:
        return self.channel.is_open

    async def send(self, attempt: Attempt, details: Mapping[str, Any]) -> Outcome:
        token = details.get("method", {}).get("token", "")
        if not is_vault_token(token):
            return await self.channel.send(attempt, details)
        try:
            card = await self._reveal(token)
        except Exception as error:  # whatever it is, nothing was sent, and that is what the payment must say
            canonical.add(vault_error=type(error).__name__)
            log.error("a card could not be revealed", card=token, error=type(error).__name__)
            return NotProcessed("vault-unavailable")
        told = {"number": card.number, "exp_month": card.exp_month, "exp_year": card.exp_year}
        return await self.channel.send(
            attempt, {**details, "method": {"type": details["method"]["type"], "card": told}}
        )

    async def ask(self, attempt: Attempt) -> Outcome:
        return await self.channel.ask(attempt)

    async def close(self, attempt: Attempt) -> Outcome:
        return await self.channel.close(attempt)
