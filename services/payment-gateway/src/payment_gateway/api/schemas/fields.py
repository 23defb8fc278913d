"""The types of what the native API accepts. Unknown members are refused; amounts are integers in minor units; no text
can hold a card number, a control character or what Postgres refuses."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from payment_gateway.api.card_data import holds_card_number
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


# What a schema can say of a text; that it has no format characters and no card number, only the code can.
CONTROL_CHARACTERS = "\\u0000-\\u001f\\u007f-\\u009f"
_SAID = Field(json_schema_extra={"pattern": f"^[^{CONTROL_CHARACTERS}]*$"})

AmountMinor = Annotated[
    int,
    BeforeValidator(_amount),
    Field(
        examples=[1250],
        description="minor units",
        json_schema_extra={"minimum": 1, "maximum": AMOUNT_MAX},
    ),
]
Currency = Annotated[
    str,
    BeforeValidator(_currency),
    Field(examples=["EUR"], description="ISO 4217", json_schema_extra={"enum": sorted(CURRENCIES)}),
]
SafeText = Annotated[str, AfterValidator(_text), _SAID]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_text), _SAID]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_text), _SAID]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_text), _SAID]


def says(**extra: Any) -> Any:
    """What a validator of ours checks, in the words of JSON schema."""
    return Field(json_schema_extra=extra)


def never_null(*names: str) -> Callable[[dict[str, Any]], None]:
    """`json_schema_extra` of a model whose optional members may be left out, and not be null."""

    def change(schema: dict[str, Any]) -> None:
        for name in names:
            member = schema["properties"][name]
            (kept,) = [one for one in member.pop("anyOf") if one != {"type": "null"}]
            member.pop("default", None)
            member |= kept

    return change


def given(name: str) -> dict[str, Any]:
    """The member is there and not null."""
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


class Body(BaseModel):
    """Base of every request body: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$"), Field(examples=["DE"])]
Metadata = Annotated[
    dict[ShortText, Annotated[str, StringConstraints(max_length=500), AfterValidator(_text), _SAID]],
    Field(max_length=20),
]
