"""Bodies of erasures: whom to forget, and what a scan found afterwards."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from payment_gateway.api.schemas.fields import Body, SafeText, ShortText, given
from payment_gateway.api.schemas.payments import CustomerId, Email

_WHOM = ("customer_id", "customer", "email", "payment_id")
PLACES_MAX = 1000
Words = Annotated[SafeText, StringConstraints(min_length=1, max_length=300)]


class ErasureBody(Body):
    """Exactly one says whom."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [given(name) for name in _WHOM]})

    customer_id: CustomerId | None = Field(None, description="a saved customer; it is deleted, too")
    customer: ShortText | None = Field(
        None, description="the merchant's own id of a payer", examples=["ada-17"]
    )
    email: Email | None = Field(None, description="of payers whom the merchant gave no id")
    payment_id: Annotated[str, StringConstraints(pattern=r"^pay_[0-9a-z]{26}$")] | None = Field(
        None, description="whoever paid it, with all their payments"
    )

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if sum(getattr(self, name) is not None for name in _WHOM) != 1:
            raise PydanticCustomError("invalid-request", "name exactly one of " + ", ".join(_WHOM))
        return self


class Place(Body):
    """Somewhere that was searched: a table, keys of Redis, files; how much was read, and what was found there."""

    place: Words
    read: int = Field(ge=0, le=10**15, description="rows, entries or files")
    values: int = Field(ge=0, le=10**15, description="of them with a value in clear")
    tokens: int = Field(ge=0, le=10**15, description="of them with a subject's token")


class ReportBody(Body):
    """`clean` when values were sought, no place holds one in clear, and none was left out."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"verdict": {"const": "clean"}}},
            "then": {
                "properties": {
                    "places": {"items": {"properties": {"values": {"maximum": 0}}}},
                    "left_out": {"maxItems": 0},
                    "values_sought": {"minimum": 1},
                }
            },
        }
    )

    verdict: Literal["clean", "readable", "incomplete"]
    scanned_at: Annotated[SafeText, StringConstraints(min_length=20, max_length=40)]
    places: Annotated[list[Place], Field(min_length=1, max_length=PLACES_MAX)]
    left_out: Annotated[list[Words], Field(max_length=100)] = Field(
        default_factory=list, description="what was not searched, and why"
    )
    values_sought: int = Field(ge=0, le=10**6)
    values_too_short: int = Field(
        0, ge=0, le=10**6, description="not sought: they would be found in everything"
    )

    @model_validator(mode="after")
    def _verdict_follows(self) -> Self:
        found = any(place.values for place in self.places)
        if self.verdict == "clean" and (found or self.left_out or not self.values_sought):
            raise PydanticCustomError(
                "invalid-request", "what has a value in clear, or was not searched, is not clean"
            )
        return self
