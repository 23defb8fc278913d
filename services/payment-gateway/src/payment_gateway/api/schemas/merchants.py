"""Bodies of the administration."""

from __future__ import annotations

from pydantic import Field

from payment_gateway.api.schemas.fields import Body, Country, ShortText


class MerchantBody(Body):
    name: ShortText = Field(examples=["Corner shop"])
    country: Country
