"""The review queue through the risk engine's API: look at cases, take one, decide it. The engine holds locks, four eyes
and roles; an act carries the operator's name and nothing else of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from data_pipeline.clients.service_api import ServiceAway, ServiceRefused
from data_pipeline.domain.operators import Operator
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.show_decisions import Decision, show_decision
from platform_kit.clock import isoformat

CASES_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which cases are listed; nothing chosen: all that are not closed, most urgent first."""

    status: str = ""
    assignee: str = ""
    is_overdue: bool = False

    def as_query(self) -> dict[str, str]:
        asked = {
            "status": self.status,
            "assignee": self.assignee,
            "overdue": "true" if self.is_overdue else "",
        }
        return {name: value for name, value in asked.items() if value}


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as the engine tells it, and the decision about its riskiest payment; None when that cannot be had, or when
    the gateway held the payment alone."""

    case: dict[str, Any]
    riskiest: dict[str, Any]
    decision: Decision | None


async def list_cases(deps: Deps, by: Operator, wanted: CaseFilter, cursor: str) -> dict[str, Any]:
    """A page of cases. Raises ServiceAway, ServiceRefused."""
    query: dict[str, str | int] = {**wanted.as_query(), "limit": CASES_SHOWN}
    if cursor:
        query["cursor"] = cursor
    page: dict[str, Any] = await deps.risk.get("/v1/cases", by, query)
    return page


async def show_case(deps: Deps, by: Operator, case_id: str) -> CaseView:
    """Everything that speaks for and against it. Raises ServiceAway, ServiceRefused."""
    case = await deps.risk.get(f"/v1/cases/{case_id}", by)
    riskiest = max(case["payments"], key=lambda one: (one["score"] or 0, one["amount_minor"]))
    decision = None
    if riskiest["assessment_id"] is not None:
        with suppress(ServiceAway, ServiceRefused):  # the case can be decided without it
            decision = await show_decision(deps, by, riskiest["assessment_id"])
    return CaseView(case, riskiest, decision)


async def take_next_case(deps: Deps, by: Operator) -> dict[str, Any] | None:
    """The most urgent one, locked for them; None when nothing waits."""
    taken: dict[str, Any] | None = (await deps.risk.act("/v1/cases/next", by, {}))["case"]
    return taken


async def decide_case(deps: Deps, by: Operator, case_id: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The case after it: closed, or proposed to a second person. `payment_count` is how many were looked at: should
    more have joined, nothing is decided."""
    body: dict[str, Any] = {"verdict": form.get("verdict", ""), "reason": form.get("reason", "")}
    if form.get("payment_count", "").isdecimal():
        body["payment_count"] = int(form["payment_count"])
    decided: dict[str, Any] = await deps.risk.act(f"/v1/cases/{case_id}/decide", by, body)
    return decided


async def release_case(deps: Deps, by: Operator, case_id: str) -> None:
    """Back into the queue."""
    await deps.risk.act(f"/v1/cases/{case_id}/release", by, {})


async def note_on_case(deps: Deps, by: Operator, case_id: str, text: str) -> None:
    """For whoever looks at it next."""
    await deps.risk.act(f"/v1/cases/{case_id}/notes", by, {"text": text})


async def snooze_rule(deps: Deps, by: Operator, form: Mapping[str, str]) -> None:
    """A rule does not count for the card, customer, device or address of a payment, for some days from now."""
    days = int(form["days"]) if form.get("days", "").isdecimal() else 1
    body = {
        "rule": form.get("rule", ""),
        "by": form.get("by", ""),
        "assessment_id": form.get("assessment_id", ""),
        "until": isoformat(deps.clock.now() + timedelta(days=min(days, 30))),
        "reason": form.get("reason", ""),
    }
    await deps.risk.act("/v1/snoozes", by, body)
