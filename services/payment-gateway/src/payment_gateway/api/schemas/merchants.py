"""Bodies of the administration."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from payment_gateway.api.schemas.fields import Body, Country, ShortText, says
from payment_gateway.domain.versions import CURRENT, VERSIONS


def _version(value: str) -> str:
    if value not in VERSIONS:
        raise PydanticCustomError("unknown-api-version", f"one of {', '.join(VERSIONS)}")
    return value


ApiVersion = Annotated[str, AfterValidator(_version), says(enum=list(VERSIONS), examples=[CURRENT])]


def _left_out(schema: dict[str, Any]) -> None:
    """What is not named stays: the defaults here are nobody's."""
    for member in schema["properties"].values():
        member.pop("default", None)


Mcc = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}$"),
    Field(examples=["5411"], description="merchant category code, ISO 18245"),
]


class MerchantBody(Body):
    name: ShortText = Field(examples=["Corner shop"])
    country: Country
    mcc: Mcc | None = None


class MerchantChanges(Body):
    """What is not named stays."""

    model_config = ConfigDict(json_schema_extra=_left_out)

    name: ShortText = Field("", examples=["Corner shop"])
    country: Country = ""
    mcc: Mcc | None = None
    api_version: ApiVersion = CURRENT


class OwnMerchantChanges(Body):
    """What is not named stays."""

    model_config = ConfigDict(json_schema_extra=_left_out)

    api_version: ApiVersion = CURRENT


class DisableMerchantBody(Body):
    reason: ShortText | None = Field(None, examples=["fraud is being looked into"])
