"""Bodies of customers and payment methods. `card.number` of a new payment method is the one member of the whole API
that takes a card number, and `cvc` stands beside it; both are secrets to every repr."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from payment_gateway.api.schemas.fields import Body, Country, LongText, Metadata, SafeText, ShortText, given
from payment_gateway.api.schemas.payments import CustomerId, Email, Wallet, checked_token


class CustomerBody(Body):
    """A new customer, or what changes of one; null takes a value away."""

    name: ShortText | None = Field(None, examples=["Ada"])
    email: Email | None = Field(None, examples=["ada@example.com"])
    description: LongText | None = None
    metadata: Metadata = Field(default_factory=dict)

    def given(self) -> dict[str, Any]:
        """The members that the request has."""
        return self.model_dump(exclude_unset=True)


class Address(Body):
    line1: ShortText | None = None
    line2: ShortText | None = None
    city: ShortText | None = None
    state: ShortText | None = None
    postal_code: Annotated[SafeText, StringConstraints(max_length=16)] | None = None
    country: Country | None = None


class BillingDetails(Body):
    name: ShortText | None = None
    email: Email | None = None
    phone: Annotated[SafeText, StringConstraints(max_length=32)] | None = None
    address: Address | None = None


_ENTRY = ("number", "exp_month", "exp_year")


class CardBody(Body):
    """Either a test token, or number and expiry."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                given("token") | {"not": {"anyOf": [given(name) for name in (*_ENTRY, "cvc")]}},
                {"allOf": [{"not": given("token")}, *(given(name) for name in _ENTRY)]},
            ]
        }
    )

    token: Annotated[
        str, StringConstraints(pattern=r"^tok_[a-z0-9_]{1,60}$"), BeforeValidator(checked_token)
    ] | None = Field(None, examples=["tok_visa"])  # fmt: skip
    number: SecretStr | None = Field(
        None, min_length=1, max_length=32, examples=["4242424242424242"], description="a public test number"
    )
    exp_month: int | None = Field(None, ge=0, le=99, examples=[12])
    exp_year: int | None = Field(None, ge=0, le=9999, examples=[2030], description="four digits")
    cvc: SecretStr | None = Field(
        None, min_length=1, max_length=8, examples=["123"], description="checked for its form and dropped"
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        entry = (self.number, self.exp_month, self.exp_year)
        if self.token is None and None in entry:
            raise PydanticCustomError("missing-field", "give a token, or number, exp_month and exp_year")
        if self.token is not None and (*entry, self.cvc) != (None,) * 4:
            raise PydanticCustomError("invalid-request", "give a token or a number, not both")
        return self


class BankTransfer(Body):
    country: Country | None = None


class _PaymentMethodBody(Body):
    billing_details: BillingDetails = Field(default_factory=BillingDetails)
    metadata: Metadata = Field(default_factory=dict)

    def billing(self) -> dict[str, Any]:
        return self.billing_details.model_dump(exclude_none=True)


class CardPaymentMethodBody(_PaymentMethodBody):
    type: Literal["card"]
    card: CardBody

    def method(self) -> dict[str, Any] | None:
        """What a channel is asked with; None for a number, which goes to the vault first."""
        return {"type": "card", "token": self.card.token} if self.card.token else None


class WalletPaymentMethodBody(_PaymentMethodBody):
    type: Literal["wallet"]
    wallet: Wallet

    def method(self) -> dict[str, Any] | None:
        return {"type": "wallet", "provider": self.wallet.provider}


class BankTransferPaymentMethodBody(_PaymentMethodBody):
    type: Literal["bank_transfer"]
    bank_transfer: BankTransfer = Field(default_factory=BankTransfer)

    def method(self) -> dict[str, Any] | None:
        return {"type": "bank_transfer", **self.bank_transfer.model_dump(exclude_none=True)}


PaymentMethodBody = Annotated[
    CardPaymentMethodBody | WalletPaymentMethodBody | BankTransferPaymentMethodBody,
    Field(discriminator="type"),
]


class PaymentMethodChanges(Body):
    """What is not given stays."""

    billing_details: BillingDetails | None = None
    metadata: Metadata | None = None

    def given(self) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if self.billing_details is not None:
            changes["billing_details"] = self.billing_details.model_dump(exclude_none=True)
        if self.metadata is not None:
            changes["metadata"] = self.metadata
        return changes


class AttachBody(Body):
    customer_id: CustomerId


class DetachBody(Body):
    """Nothing to say; the body may be left out."""
