"""Times as our APIs take them: text with a date in it. Pydantic would also take a number, or text that is one, for
seconds since 1970, and a client that sends milliseconds would be believed."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BeforeValidator, Field
from pydantic_core import PydanticCustomError

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _moment(value: Any) -> Any:
    if isinstance(value, datetime) or (isinstance(value, str) and _DATE.match(value) and len(value) > 10):
        return value
    raise PydanticCustomError(
        "invalid-request", "an RFC 3339 time with an offset, such as 2026-11-26T12:00:00Z"
    )


def _day(value: Any) -> Any:
    if isinstance(value, date) or (isinstance(value, str) and _DATE.fullmatch(value)):
        return value
    raise PydanticCustomError("invalid-request", "a date such as 2026-11-26")


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_moment, json_schema_input_type=AwareDatetime),
    Field(strict=False, examples=["2026-11-26T12:00:00Z"]),
]
Day = Annotated[
    date, BeforeValidator(_day, json_schema_input_type=date), Field(strict=False, examples=["2026-11-26"])
]
