"""Bodies of payments and what is done to them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from payment_gateway.api.card_data import has_many_digits
from payment_gateway.api.schemas.fields import (
    CONTROL_CHARACTERS,
    AmountMinor,
    Body,
    Country,
    Currency,
    LongText,
    Metadata,
    Reference,
    SafeText,
    ShortText,
    given,
    says,
)
from payment_gateway.domain.statement_descriptor import (
    LENGTH_LEAST,
    LENGTH_MOST,
    PATTERN,
    is_statement_descriptor,
)
from payment_gateway.domain.surcharge import most_surcharge_minor
from platform_kit.money import AMOUNT_MAX


def checked_token(value: Any) -> Any:
    """A test token as it is; raises for one that a card number could hide in."""
    if isinstance(value, str) and has_many_digits(value):
        raise PydanticCustomError("card-data-not-allowed", "a token is not made of a card number")
    return value


class Card(Body):
    token: Annotated[
        str,
        StringConstraints(pattern=r"^tok_[a-z0-9_]{1,60}$"),
        BeforeValidator(checked_token),
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


_EMAIL_PART = rf"[^@\s{CONTROL_CHARACTERS}]+"
Email = Annotated[
    SafeText,
    StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$"),
    says(pattern=f"^{_EMAIL_PART}@{_EMAIL_PART}$"),
]


class Bank(Body):
    scheme: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")] = Field(examples=["sepa"])


class BankMethod(Body):
    type: Literal["bank"]
    bank: Bank

    def stored(self) -> dict[str, Any]:
        return {"type": "bank", "scheme": self.bank.scheme}


_ADDRESS = r"^[0-9a-fA-F.:]{2,45}$"


class Customer(Body):
    id: ShortText | None = None
    country: Country | None = None
    ip: Annotated[SafeText, StringConstraints(pattern=_ADDRESS), says(pattern=_ADDRESS)] | None = None
    device_id: ShortText | None = None
    email: Email | None = None


PaymentMethodId = Annotated[str, StringConstraints(pattern=r"^pm_[0-9a-z]{26}$")]
CustomerId = Annotated[str, StringConstraints(pattern=r"^cus_[0-9a-z]{26}$")]
Method = Annotated[CardMethod | WalletMethod | BankMethod, Field(discriminator="type")]


def _descriptor(value: str) -> str:
    if not is_statement_descriptor(value):
        raise PydanticCustomError("invalid-text", "printable ASCII with a letter, and none of < > \\ ' \" *")
    return value


StatementDescriptor = Annotated[
    SafeText,
    StringConstraints(min_length=LENGTH_LEAST, max_length=LENGTH_MOST),
    AfterValidator(_descriptor),
    says(pattern=PATTERN),
    Field(examples=["CORNER SHOP"], description="what the payer reads on the statement"),
]


class CreatePaymentBody(Body):
    """Create a payment, and confirm it at once unless `confirm` is false."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["confirm"], "properties": {"confirm": {"const": False}}},
                given("method"),
                given("payment_method"),
            ],
            "not": {"allOf": [given("method"), given("payment_method")]},
        }
    )

    amount_minor: AmountMinor
    currency: Currency
    surcharge_minor: int = Field(
        0,
        ge=0,
        le=AMOUNT_MAX,
        examples=[0],
        description="the part of `amount_minor` that is on top of the price: at most 4 % of the price",
    )
    capture: Literal["automatic", "manual"] = "automatic"
    method: Method | None = Field(None, description="required when the payment is confirmed at once")
    payment_method: PaymentMethodId | None = Field(None, description="a saved one, in place of `method`")
    customer_id: CustomerId | None = Field(None, description="a saved customer")
    confirm: bool = Field(True, validate_default=True)
    reference: Reference | None = Field(None, examples=["order-1001"])
    description: LongText | None = None
    statement_descriptor: StatementDescriptor | None = None
    customer: Customer | None = None
    metadata: Metadata = Field(default_factory=dict)

    @field_validator("surcharge_minor")
    @classmethod
    def _is_within_the_cap(cls, surcharge_minor: int, info: ValidationInfo) -> int:
        amount_minor = info.data.get("amount_minor")
        if amount_minor is not None and surcharge_minor > most_surcharge_minor(amount_minor):
            raise PydanticCustomError("amount-exceeds-remaining", "a surcharge is at most 4 % of the price")
        return surcharge_minor

    @field_validator("confirm")
    @classmethod
    def _has_a_method(cls, confirm: bool, info: ValidationInfo) -> bool:
        if not {"method", "payment_method"} <= info.data.keys():
            return confirm  # one of them is at fault, and says so itself
        if confirm and info.data["method"] is None and info.data["payment_method"] is None:
            raise PydanticCustomError("missing-field", "a payment that is confirmed at once needs a method")
        if info.data["method"] is not None and info.data["payment_method"] is not None:
            raise PydanticCustomError("invalid-request", "give a method or a saved payment method, not both")
        return confirm


class UpdatePaymentBody(Body):
    """What is left out stays as it is; `metadata` replaces what was there. Reference, description and metadata may
    change at any time, the rest only before the payment is confirmed."""

    amount_minor: AmountMinor | None = None
    method: Method | None = None
    payment_method: PaymentMethodId | None = None
    capture: Literal["automatic", "manual"] | None = None
    reference: Reference | None = None
    description: LongText | None = None
    statement_descriptor: StatementDescriptor | None = None
    customer: Customer | None = None
    metadata: Metadata | None = None

    def changes(self) -> dict[str, Any]:
        named = {name: getattr(self, name) for name in self.model_fields_set}
        if self.method:
            named["method"] = self.method.stored()
        if self.customer:
            named["customer"] = self.customer.model_dump(exclude_none=True)
        return {name: value for name, value in named.items() if value is not None}


class ConfirmBody(Body):
    """Without a method, the payment is charged with the one that it has."""

    method: Method | None = None
    payment_method: PaymentMethodId | None = None


class CancelBody(Body):
    """Nothing to say; the body may be left out."""


class CaptureBody(Body):
    """Without an amount, all that is held is captured. A `final` part gives up what it leaves of the hold."""

    amount_minor: AmountMinor | None = None
    final: bool = False


class VoidBody(Body):
    """Nothing to say; the body may be left out."""


class RefundBody(Body):
    """Without an amount, all that remains is refunded."""

    amount_minor: AmountMinor | None = None
    reason: LongText | None = None
    metadata: Metadata = Field(default_factory=dict)
