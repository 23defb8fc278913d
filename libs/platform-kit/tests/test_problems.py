"""A refusal of a payload says where, what is wrong and what is allowed, in our words and without the input."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from platform_kit.problems import from_validation_errors

SECRET = "4242-nobody-may-read-this"


class Method(StrEnum):
    CARD = "card"
    WALLET = "wallet"


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    amount: Annotated[int, Field(ge=1, le=100)]


class Card(BaseModel):
    type: Literal["card"]


class Wallet(BaseModel):
    type: Literal["wallet"]


class Payload(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=2, max_length=30)] = "some"
    code: Annotated[str, Field(pattern=r"^[a-z]{3}$")] = "abc"
    flag: bool = True
    lines: Annotated[list[Line], Field(min_length=1, max_length=2)] = [Line(amount=1)]
    labels: dict[str, str] = {}
    on: date = date(2026, 11, 26)
    at: AwareDatetime | None = None
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    method: Method = Method.CARD
    order: Literal["asc", "desc"] = "asc"
    paid: Annotated[Card | Wallet, Field(discriminator="type")] = Card(type="card")


def refused(**given: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as error:
        Payload.model_validate(given)
    problem = from_validation_errors(error.value.errors())
    (first, *_) = problem.errors
    assert SECRET not in str(problem.body("/", "req_1"))
    assert problem.detail == f"{first['pointer']}: {first['detail']}"
    return dict(first)


@pytest.mark.parametrize(
    ("given", "pointer", "allowed"),
    [
        ({"name": 5}, "/name", "must be a text"),
        ({"name": "a"}, "/name", "must have at least 2 characters"),
        ({"name": SECRET * 2}, "/name", "must have at most 30 characters"),
        ({"code": SECRET}, "/code", "must match ^[a-z]{3}$"),
        ({"flag": SECRET}, "/flag", "must be true or false"),
        ({"lines": SECRET}, "/lines", "must be a list"),
        ({"lines": []}, "/lines", "must have at least 1 entries"),
        ({"lines": [SECRET]}, "/lines/0", "must be an object"),
        ({"lines": [{}]}, "/lines/0/amount", "is required"),
        ({"lines": [{"amount": SECRET}]}, "/lines/0/amount", "must be an integer"),
        ({"lines": [{"amount": 1.5}]}, "/lines/0/amount", "must be an integer"),
        ({"lines": [{"amount": 0}]}, "/lines/0/amount", "must be at least 1"),
        ({"lines": [{"amount": 101}]}, "/lines/0/amount", "must be at most 100"),
        ({"lines": [{"amount": 1, "colour": SECRET}]}, "/lines/0/colour", "is not a member of this request"),
        ({"labels": SECRET}, "/labels", "must be an object"),
        ({"on": SECRET}, "/on", "must be a date such as 2026-11-26"),
        ({"at": SECRET}, "/at", "must be a time such as 2026-11-26T12:00:00Z"),
        (
            {"at": "2026-11-26T12:00:00"},
            "/at",
            "must be a time with its offset, such as 2026-11-26T12:00:00Z",
        ),
        ({"share": SECRET}, "/share", "must be a number"),
        ({"share": 0}, "/share", "must be more than 0.0"),
        ({"share": 1}, "/share", "must be less than 1.0"),
        ({"method": SECRET}, "/method", "must be one of 'card' or 'wallet'"),
        ({"order": SECRET}, "/order", "must be one of 'asc' or 'desc'"),
        ({"paid": {"type": SECRET}}, "/paid", "must be one of 'card', 'wallet'"),
        ({"paid": {}}, "/paid", "must have the member 'type', which says what it is"),
    ],
)
def test_an_error_says_where_and_what_is_allowed_there(
    given: dict[str, Any], pointer: str, allowed: str
) -> None:
    error = refused(**given)
    assert (error["pointer"], error["detail"]) == (pointer, allowed)
