"""What is to be proven again."""

from typing import Annotated

from pydantic import Field

from risk_engine.api.schemas.fields import Body


class ReplayRequest(Body):
    """POST /v1/replays."""

    after: Annotated[str, Field(max_length=64, pattern=r"^asm_[0-9a-hjkmnp-tv-z]{26}$")] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 200


class ChainCheckRequest(Body):
    """POST /v1/chain-checks."""

    after: Annotated[int, Field(ge=0, le=2**53)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 500
