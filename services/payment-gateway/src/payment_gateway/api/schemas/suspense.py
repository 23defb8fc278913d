"""Bodies of what is in suspense."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from payment_gateway.api.schemas.fields import AmountMinor, Body, Currency, LongText, given

Reference = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/=+-]{0,127}$"),
    Field(examples=["brk_abcdefghijklmnopqrstuvwxyz"], description="of the break, or the line of the file"),
]
ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$"), Field(examples=["card_sim"])]
MerchantId = Annotated[str, StringConstraints(pattern=r"^mer_[0-9a-z]{26}$")]


_NAMED = given("merchant_id")


class SuspenseBody(Body):
    channel: ChannelName
    reference: Reference
    direction: Literal["received", "taken"] = Field(
        description="seen from us: the channel pays more, or less"
    )
    amount_minor: AmountMinor
    currency: Currency
    note: LongText


class CorrectionBody(SuspenseBody):
    """From the reconciliation; who decided it stands in `Acting-For`."""

    write_off: bool = Field(default=False, description="the platform bears it, or keeps it")


class ResolveBody(Body):
    """To whom it belongs: `merchant_id` says which merchant's, and nothing else has one."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"allOf": [{"properties": {"to": {"const": "merchant"}}}, _NAMED]},
                {"properties": {"to": {"not": {"const": "merchant"}}}, "not": _NAMED},
            ]
        }
    )

    to: Literal["channel", "costs", "platform", "merchant"]
    merchant_id: MerchantId | None = Field(default=None, description="with `merchant` alone")
    note: LongText
