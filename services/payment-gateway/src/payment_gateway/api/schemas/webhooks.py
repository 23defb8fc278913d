"""Bodies of webhook endpoints and replays."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from payment_gateway.api.schemas.events import EVENTS
from payment_gateway.api.schemas.fields import Body, LongText, Metadata, SafeText, given, never_null
from platform_kit.moments import Moment

EVENT_TYPE_PATTERN: Final = r"^[a-z_]{1,40}(\.[a-z_]{1,40}){0,3}\.(v[0-9]{1,3}|\*)$"
EVENT_ID_PATTERN: Final = r"^evt_[0-9a-z]{26}$"

Url = Annotated[
    SafeText,
    StringConstraints(min_length=8, max_length=2000),
    Field(examples=["https://shop.example/webhooks"]),
]


def _told(wanted: str) -> str:
    """A type with a typo in it would never be told, and nobody would say so."""
    prefix = wanted.removesuffix("*")
    if wanted not in EVENTS and not (wanted != prefix and any(name.startswith(prefix) for name in EVENTS)):
        raise PydanticCustomError("unknown-event-type", "no event has this type; docs/webhooks.md lists them")
    return wanted


EventTypes = Annotated[
    list[Annotated[str, StringConstraints(pattern=EVENT_TYPE_PATTERN), AfterValidator(_told)]],
    Field(min_length=1, max_length=50, examples=[["payment.captured.v1", "refund.*"]]),
]
EventId = Annotated[str, StringConstraints(pattern=EVENT_ID_PATTERN)]


class WebhookEndpointBody(Body):
    url: Url
    event_types: EventTypes | None = Field(None, description="null = all; `payment.*` = all that begin so")
    description: LongText | None = None
    metadata: Metadata = Field(default_factory=dict)


class WebhookEndpointChanges(Body):
    """What is not named stays; `event_types` and `description` may be set to null."""

    model_config = ConfigDict(json_schema_extra=never_null("url", "metadata", "enabled"))

    url: Url | None = None
    event_types: EventTypes | None = None
    description: LongText | None = None
    metadata: Metadata | None = None
    enabled: bool | None = None

    @model_validator(mode="after")
    def _no_null_where_none_can_be(self) -> WebhookEndpointChanges:
        for name in ("url", "metadata", "enabled"):
            if name in self.model_fields_set and getattr(self, name) is None:
                raise PydanticCustomError("null-not-allowed", "`{name}` cannot be null", {"name": name})
        return self


class RotateSecretBody(Body):
    overlap_s: int = Field(
        86_400, ge=0, le=7 * 86_400, description="how long the old secret signs too; 0 when it has leaked"
    )


class ReplayBody(Body):
    """One event, all of an endpoint, or those of a time: at least one of the three."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [given("event_id"), given("endpoint_id"), given("occurred_from")]}
    )

    event_id: EventId | None = None
    endpoint_id: Annotated[str, StringConstraints(pattern=r"^we_[0-9a-z]{26}$")] | None = None
    occurred_from: Moment | None = None
    occurred_to: Moment | None = None
    after: EventId | None = Field(None, description="`next_after` of an answer with `has_more`")
    undelivered_only: bool = False

    @model_validator(mode="after")
    def _says_what(self) -> ReplayBody:
        if not (self.event_id or self.endpoint_id or self.occurred_from):
            raise PydanticCustomError("nothing-named", "name an event_id, an endpoint_id or occurred_from")
        return self
