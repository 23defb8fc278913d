"""Bodies of payments and what is done to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from payment_gateway.api.card_data import has_many_digits
from payment_gateway.api.schemas.fields import (
    AmountMinor,
    Body,
    Country,
    Currency,
    LongText,
    Metadata,
    Reference,
    ShortText,
)


def _token(value: Any) -> Any:
    if isinstance(value, str) and has_many_digits(value):
        raise PydanticCustomError("card-data-not-allowed", "a token is not made of a card number")
    return value


class Card(Body):
    token: Annotated[
        str,
        StringConstraints(pattern=r"^tok_[a-z0-9_]{1,60}$"),
        BeforeValidator(_token),
        Field(examples=["tok_visa"]),
    ]


class CardMethod(Body):
    type: Literal["card"]
    card: Card

    def stored(self) -> dict[str, Any]:
        return {"type": "card", "token": self.card.token}


class Wallet(Body):
    provider: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")] = Field(examples=["qr"])


class WalletMethod(Body):
    type: Literal["wallet"]
    wallet: Wallet

    def stored(self) -> dict[str, Any]:
        return {"type": "wallet", "provider": self.wallet.provider}


class Customer(Body):
    id: ShortText | None = None
    country: Country | None = None
    ip: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F.:]{2,45}$")] | None = None
    device_id: ShortText | None = None
    email: Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None


class CreatePaymentBody(Body):
    """Create and confirm a payment."""

    amount_minor: AmountMinor
    currency: Currency
    capture: Literal["automatic", "manual"] = "automatic"
    method: Annotated[CardMethod | WalletMethod, Field(discriminator="type")]
    reference: Reference | None = Field(None, examples=["order-1001"])
    description: LongText | None = None
    customer: Customer | None = None
    metadata: Metadata = Field(default_factory=dict)


class CaptureBody(Body):
    """Without an amount, all that is held is captured."""

    amount_minor: AmountMinor | None = None


class VoidBody(Body):
    """Nothing to say; the body may be left out."""


class RefundBody(Body):
    """Without an amount, all that remains is refunded."""

    amount_minor: AmountMinor | None = None
    reason: LongText | None = None
