"""Bodies of the ledger by itself."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from payment_gateway.api.schemas.fields import AmountMinor, Body, Currency
from platform_kit.money import AMOUNT_MAX

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
