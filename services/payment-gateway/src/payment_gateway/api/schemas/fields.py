"""The types of what the native API accepts. Unknown members are refused; amounts are integers in minor units; no text
can hold a card number, a control character or what Postgres refuses."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
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


AmountMinor = Annotated[int, BeforeValidator(_amount), Field(examples=[1250], description="minor units")]
Currency = Annotated[str, BeforeValidator(_currency), Field(examples=["EUR"], description="ISO 4217")]
SafeText = Annotated[str, AfterValidator(_text)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_text)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_text)]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_text)]


class Body(BaseModel):
    """Base of every request body: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$"), Field(examples=["DE"])]
Metadata = Annotated[
    dict[ShortText, Annotated[str, StringConstraints(max_length=500), AfterValidator(_text)]],
    Field(max_length=20),
]
Moment = Annotated[AwareDatetime, Field(strict=False, examples=["2026-11-26T12:00:00Z"])]
