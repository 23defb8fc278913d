"""Who is admitted."""

from typing import Annotated

from pydantic import Field

from risk_engine.api.schemas.fields import Body, Name
from risk_engine.domain.staff import Role


class NewStaff(Body):
    """POST /v1/staff."""

    name: Name
    role: Annotated[Role, Field(strict=False)]
