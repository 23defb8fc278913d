"""Bodies of webhook endpoints."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from payment_gateway.api.schemas.fields import Body, SafeText


class WebhookEndpointBody(Body):
    url: Annotated[SafeText, StringConstraints(min_length=8, max_length=2000)] = Field(
        examples=["https://shop.example/webhooks"]
    )
