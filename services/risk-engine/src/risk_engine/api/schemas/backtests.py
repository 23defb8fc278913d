"""What is tried on history."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from risk_engine.api.schemas.fields import Body, Moment, period


class BacktestRequest(Body):
    """POST /v1/backtests: by default over the last 30 days."""

    rule_set: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    since: Moment | None = None
    until: Moment | None = None

    def period(self, now: datetime) -> tuple[datetime, datetime]:
        """[since, until). Raises InvalidTime when it is empty."""
        return period(self.since, self.until, now)
