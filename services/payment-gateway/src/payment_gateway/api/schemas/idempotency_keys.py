"""Bodies about idempotency keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from payment_gateway.api.schemas.fields import Body, SafeText, says
from payment_gateway.operations.cancel_key import Route
from platform_kit.idempotency import KEY_LENGTH_MAX

Key = Annotated[
    SafeText,
    StringConstraints(min_length=1, max_length=KEY_LENGTH_MAX, pattern=r"^[ -~]+$"),
    says(pattern="^[ -~]+$"),
]


class CancelKeyBody(Body):
    key: Key = Field(examples=["order-4711"], description="as it was sent, without the quotes")
    route: Route = Field("POST /v1/payments", description="where it was used: a key counts for one route")
