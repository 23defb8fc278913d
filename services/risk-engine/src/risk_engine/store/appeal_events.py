"""What is told of appeals. Its own events, and none of its case: a report of what was held and decided in time, and the
gateway that acts upon a verdict, have nothing to do with a payment that ended long ago."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from platform_kit.events import Event
from platform_kit.ids import new_id

MADE: Final = "appeal.made.v1"
DECIDED: Final = "appeal.decided.v1"


def appeal_event(kind: str, appeal: Mapping[str, Any], at: datetime) -> Event:
    """Without the words of who asked, which may name people, and without who works here."""
    told = {name: one for name, one in appeal.items() if name not in ("reason", "recorded_by")}
    return Event(
        id=new_id("evt"),
        type=kind,
        aggregate_id=appeal["id"],
        merchant_id=appeal["merchant_id"],
        data={"appeal": told},
        occurred_at=at,
    )
