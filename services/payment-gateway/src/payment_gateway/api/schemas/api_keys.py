"""Bodies of API keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from payment_gateway.api.schemas.fields import Body, ShortText, says
from payment_gateway.domain.scopes import SCOPES
from platform_kit.moments import Moment


def _scopes(value: list[str]) -> list[str]:
    if not set(value) <= SCOPES:
        raise PydanticCustomError("unknown-scope", "scopes such as payments:read; see docs/api.md")
    return value


class ApiKeyBody(Body):
    """Without scopes, the key may do all that the one that makes it may."""

    name: ShortText | None = Field(None, examples=["reporting"])
    scopes: (
        Annotated[
            list[str],
            Field(min_length=1, max_length=40),
            AfterValidator(_scopes),
            says(items={"type": "string", "enum": sorted(SCOPES)}),
        ]
        | None
    ) = Field(None, examples=[["payments:read", "events:read"]])
    expires_at: Moment | None = None


class RotateKeyBody(Body):
    overlap_s: int = Field(86_400, ge=0, le=7 * 86_400, description="how long the old key works too")
