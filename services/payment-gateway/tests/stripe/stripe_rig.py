"""A shop that uses Stripe's own client, in threads, because that client blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import stripe
from gateway_rig import RunningGateway

T = TypeVar("T")


@dataclass
class Shop:
    client: stripe.StripeClient
    gateway: RunningGateway

    async def do(self, call: Callable[[stripe.StripeClient], T]) -> T:
        return await asyncio.to_thread(call, self.client)

    async def intent(self, *, key: str | None = None, **changes: Any) -> stripe.PaymentIntent:
        """An intent over 12.50 EUR, confirmed with a good card unless the test says otherwise."""
        params: dict[str, Any] = {
            "amount": 1250,
            "currency": "eur",
            "payment_method": "pm_card_visa",
            "confirm": True,
        }
        options = {"idempotency_key": key} if key else {}
        params = {name: value for name, value in (params | changes).items() if value is not None}
        return await self.do(lambda c: c.v1.payment_intents.create(params, options))

    async def held(self, amount: int = 10_000) -> stripe.PaymentIntent:
        return await self.intent(amount=amount, capture_method="manual")

    async def charges(self) -> list[dict[str, Any]]:
        """What the acquirer's own journal says was charged."""
        return [line for line in await self.gateway.simulators.journal() if line.get("charged_minor")]
