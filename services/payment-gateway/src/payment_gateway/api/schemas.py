"""What the native API accepts. Unknown members are refused; amounts are integers in minor units; no text can hold
a card number, a control character or what Postgres refuses."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from payment_gateway.api.card_data import has_many_digits, holds_card_number
from platform_kit.money import AMOUNT_MAX, CURRENCIES


def _amount(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= AMOUNT_MAX:
        raise PydanticCustomError(
            "invalid-amount", "an integer in minor units from 1 to {maximum}", {"maximum": AMOUNT_MAX}
        )
    return value


def _currency(value: Any) -> str:
    if not isinstance(value, str) or value not in CURRENCIES:
        raise PydanticCustomError("unsupported-currency", "an active ISO 4217 code in capitals, such as EUR")
    return value


def _text(value: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs", "Cf"} for character in value):
        raise PydanticCustomError("invalid-text", "text without control, format or surrogate characters")
    if holds_card_number(value):
        raise PydanticCustomError("card-data-not-allowed", "card numbers go nowhere but into a card token")
    return value


AmountMinor = Annotated[int, BeforeValidator(_amount), Field(examples=[1250], description="minor units")]
Currency = Annotated[str, BeforeValidator(_currency), Field(examples=["EUR"], description="ISO 4217")]
Text = Annotated[str, AfterValidator(_text)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_text)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_text)]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_text)]


class Body(BaseModel):
    """Base of every request body: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


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
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = Field(None, examples=["DE"])
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
    metadata: Annotated[dict[ShortText, Annotated[str, StringConstraints(max_length=500), AfterValidator(_text)]],
                        Field(max_length=20)] = {}  # fmt: skip


class CaptureBody(Body):
    """Without an amount, all that is held is captured."""

    amount_minor: AmountMinor | None = None


class VoidBody(Body):
    """Nothing to say; the body may be left out."""


class RefundBody(Body):
    """Without an amount, all that remains is refunded."""

    amount_minor: AmountMinor | None = None
    reason: LongText | None = None


class MerchantBody(Body):
    name: ShortText = Field(examples=["Corner shop"])
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = Field(examples=["DE"])


class WebhookEndpointBody(Body):
    url: Annotated[str, StringConstraints(min_length=8, max_length=2000), AfterValidator(_text)] = Field(
        examples=["https://shop.example/webhooks"]
    )


AccountSlug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{1,64}$")]


class AccountBody(Body):
    name: AccountSlug = Field(examples=["savings"])
    currency: Currency
    floor_minor: Annotated[int, Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX)] | None = Field(
        None, description="lowest available balance in minor units; none = unbounded"
    )


class TransferBody(Body):
    debit_account: AccountSlug = Field(examples=["funding"])
    credit_account: AccountSlug = Field(examples=["savings"])
    amount_minor: AmountMinor
    currency: Currency

    @model_validator(mode="after")
    def _two_accounts(self) -> Self:
        if self.debit_account == self.credit_account:
            raise PydanticCustomError("same-account", "debit_account and credit_account must differ")
        return self
