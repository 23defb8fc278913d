"""Bodies of the ledger by itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from payment_gateway.api.schemas.fields import AmountMinor, Body, Currency, LongText, Metadata, given
from platform_kit.moments import Moment
from platform_kit.money import AMOUNT_MAX

LINES_MAX = 1000  # of one journal

AccountSlug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{1,64}$")]


class AccountBody(Body):
    """A new account holds nothing, so its bounds lie on both sides of that."""

    name: AccountSlug = Field(examples=["savings"])
    currency: Currency
    floor_minor: Annotated[int, Field(ge=-AMOUNT_MAX, le=0)] | None = Field(
        None, description="lowest available balance in minor units; none = unbounded"
    )
    ceiling_minor: Annotated[int, Field(ge=0, le=AMOUNT_MAX)] | None = Field(
        None, description="highest posted balance with incoming holds, in minor units; none = unbounded"
    )


class LineBody(Body):
    debit_account: AccountSlug = Field(examples=["funding"])
    credit_account: AccountSlug = Field(examples=["savings"])
    amount_minor: AmountMinor
    currency: Currency

    @model_validator(mode="after")
    def _two_accounts(self) -> Self:
        if self.debit_account == self.credit_account:
            raise PydanticCustomError("same-account", "debit_account and credit_account must differ")
        return self


class _About(Body):
    effective_at: Moment | None = Field(None, description="when it counts; at most 366 days back")
    description: LongText | None = None
    metadata: Metadata = Field(default_factory=dict)


class TransferBody(LineBody, _About):
    model_config = ConfigDict(
        json_schema_extra={
            "not": {"allOf": [given("expires_at"), given("expires_after_s")]},
            "anyOf": [
                {"required": ["pending"], "properties": {"pending": {"const": True}}},
                {"not": {"anyOf": [given("expires_at"), given("expires_after_s")]}},
            ],
        }
    )

    pending: bool = Field(False, description="set the amount aside (a hold) instead of moving it")
    expires_at: Moment | None = None
    expires_after_s: Annotated[int, Field(ge=1, le=31_622_400)] | None = None

    @model_validator(mode="after")
    def _one_expiry(self) -> Self:
        given = [self.expires_at, self.expires_after_s]
        if given.count(None) == 0 or (not self.pending and given.count(None) < 2):
            raise PydanticCustomError("invalid-expiry", "one expiry at most, and for a pending transfer only")
        return self


class LinkedTransfersBody(_About):
    linked: Literal[True] = True
    transfers: Annotated[list[LineBody], Field(min_length=1, max_length=LINES_MAX)] = Field(
        description="linked: all of them in one journal, or none"
    )


class UnlinkedTransfersBody(Body):
    linked: Literal[False]
    transfers: Annotated[list[TransferBody], Field(min_length=1, max_length=LINES_MAX)] = Field(
        description="each is done or refused by itself, in their order; later ones see what earlier ones did"
    )


def _kind(body: Any) -> str:
    """Tags named so that pointers to what is wrong name members only."""
    is_list = isinstance(body, LinkedTransfersBody | UnlinkedTransfersBody) or "transfers" in (body or ())
    return "transfers" if is_list else "body"


def _list_kind(body: Any) -> str:
    linked = body.get("linked") if isinstance(body, dict) else getattr(body, "linked", None)
    return "body" if linked is False else "transfers"


AnyTransfersBody = Annotated[
    Annotated[LinkedTransfersBody, Tag("transfers")] | Annotated[UnlinkedTransfersBody, Tag("body")],
    Discriminator(_list_kind),
]
AnyTransferBody = Annotated[
    Annotated[TransferBody, Tag("body")] | Annotated[AnyTransfersBody, Tag("transfers")],
    Discriminator(_kind),
]


class PostHoldBody(Body):
    amount_minor: AmountMinor | None = Field(None, description="none = all that remains")


class VoidHoldBody(Body):
    pass


class ReverseBody(Body):
    reason: LongText
