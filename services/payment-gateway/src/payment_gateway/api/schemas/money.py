"""Bodies of disputes, payouts and merchants' terms."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from payment_gateway.api.schemas.fields import AmountMinor, Body, Currency, LongText, Metadata, ShortText
from payment_gateway.domain.reserve import DAYS_MAX

Destination = Annotated[str, StringConstraints(pattern=r"^ba_[a-z0-9_]{1,40}$"), Field(examples=["ba_pays"])]


class EvidenceBody(Body):
    evidence: Annotated[dict[ShortText, LongText], Field(max_length=20)] = Field(
        examples=[{"customer_communication": "The parcel was signed for."}]
    )
    submit: bool = Field(default=False, description="send it to the bank: once, and for good")


class AcceptBody(Body):
    pass


class PayoutBody(Body):
    amount_minor: AmountMinor
    currency: Currency
    destination: Destination
    description: LongText | None = None
    metadata: Metadata = Field(default_factory=dict)


class CancelPayoutBody(Body):
    pass


Minor = Annotated[int, Field(ge=0, le=10**9)]


class FeeRuleBody(Body):
    basis_points: int = Field(ge=0, le=10_000, examples=[140])
    method: Literal["card", "wallet", "bank"] | None = None
    fixed_minor: dict[Currency, Minor] = Field(default_factory=dict, max_length=50)
    least_minor: dict[Currency, Minor] = Field(default_factory=dict, max_length=50)
    most_minor: dict[Currency, Minor] = Field(default_factory=dict, max_length=50)


class FeePlanBody(Body):
    rules: list[FeeRuleBody] = Field(min_length=1, max_length=20)
    returns_on_refund: bool = Field(
        default=False, description="a refund gives the fee back, in proportion to what it refunds"
    )
    dispute_minor: dict[Currency, Minor] = Field(
        default_factory=dict, max_length=50, description="what a dispute costs when it opens"
    )
    dispute_returns_when_won: bool = False


class ReserveBody(Body):
    basis_points: int = Field(ge=1, le=10_000, examples=[1000], description="of what is settled")
    days: int = Field(ge=1, le=DAYS_MAX, examples=[180])


class TermsBody(Body):
    settlement_delay_days: int = Field(default=2, ge=0, le=60)
    payout_destination: Destination | None = None
    fee_plan: FeePlanBody | None = None
    settlement_currency: Currency | None = None
    reserve: ReserveBody | None = Field(default=None, description="the share of each settlement to keep back")
