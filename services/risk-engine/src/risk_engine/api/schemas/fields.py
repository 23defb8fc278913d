"""Fields that several requests share: each refuses what it is not, card numbers in any text among it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from platform_kit.money import AMOUNT_MAX, CURRENCIES
from platform_kit.problems import Problem


class InvalidTime(Problem):
    status, code, title = 422, "invalid-time", "The time of the payment is not acceptable"


_CARD_NUMBER = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")


def no_card_number(value: str) -> str:
    if _CARD_NUMBER.search(value):
        raise PydanticCustomError("card-data-not-allowed", "Send the card's token, never its number.")
    return value


def _known_currency(value: str) -> str:
    if value not in CURRENCIES:
        raise PydanticCustomError("unsupported-currency", "An active ISO 4217 code in capitals.")
    return value


def _whole_amount(value: Any) -> Any:
    if type(value) is not int or not 0 < value <= AMOUNT_MAX:
        raise PydanticCustomError("invalid-amount", "A whole number of minor units, from 1 to 1000000000000.")
    return value


def _moment(value: Any) -> datetime:
    """Only text, only with an offset: pydantic would also take a number for seconds since 1970."""
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):  # the last by an offset at either end of the calendar
        pass
    raise PydanticCustomError(
        "invalid-time", "An ISO 8601 time with an offset, such as 2026-11-23T04:05:06Z."
    )


Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]

Key = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$")]

Text = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$"), AfterValidator(no_card_number)
]

Token = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_-]+$"), AfterValidator(no_card_number)
]

# No narrower than the gateway's own: an address that it took and we refuse would cost the payment its assessment.
Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$")]

Bin = Annotated[str, Field(pattern=r"^([0-9]{6}|[0-9]{8})$")]

Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]

Amount = Annotated[
    int,
    BeforeValidator(_whole_amount),
    Field(json_schema_extra={"minimum": 1, "maximum": AMOUNT_MAX}),
]

Currency = Annotated[
    str, AfterValidator(_known_currency), Field(json_schema_extra={"enum": sorted(CURRENCIES)})
]

Moment = Annotated[datetime, BeforeValidator(_moment)]

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._@-]*$")]

Note = Annotated[
    str,
    Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]+$"),
    AfterValidator(no_card_number),
]

Sentence = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$"), AfterValidator(no_card_number)
]

ListName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,47}$")]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


BACKTEST_DEFAULT = timedelta(days=30)


def period(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    until = until or now
    since = since or until - BACKTEST_DEFAULT
    if since >= until:
        raise InvalidTime("`since` is before `until`.")
    return since, until
