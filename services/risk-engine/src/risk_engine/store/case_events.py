"""What is told of cases as they come and go: how long they wait, and whether they were decided in time, is counted by
whoever reads it. A verdict has an event of its own (operations/decide_case.py), which the gateway acts upon."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from platform_kit.clock import isoformat
from platform_kit.events import Event
from platform_kit.ids import new_id
from risk_engine.domain.cases import Case

OPENED: Final = "case.opened.v1"
UPDATED: Final = "case.updated.v1"
CLOSED: Final = "case.closed.v1"


def case_event(kind: str, case: Case, at: datetime) -> Event:
    """OPENED; UPDATED when payments joined it, which may make it due sooner; CLOSED without a verdict, because its
    payments ended by themselves."""
    told = case_told(case) | {"closed_at": isoformat(case.closed_at) if case.closed_at else None}
    return Event(
        id=new_id("evt"),
        type=kind,
        aggregate_id=case.id,
        merchant_id=case.merchant_id,
        data={"case": told},
        occurred_at=at,
    )


def case_told(case: Case) -> dict[str, Any]:
    """The case as the queue knew it: neither payers nor who works on it."""
    return {
        "id": case.id,
        "merchant_id": case.merchant_id,
        "priority": case.priority,
        "payment_count": case.payment_count,
        "opened_at": isoformat(case.opened_at),
        "due_at": isoformat(case.due_at),
    }
