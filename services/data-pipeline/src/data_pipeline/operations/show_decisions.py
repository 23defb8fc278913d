"""Decisions of the risk engine: the list, and one with the rules that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from data_pipeline.clients.service_api import ServiceAway, ServiceRefused
from data_pipeline.domain.operators import Operator
from data_pipeline.operations.deps import Deps

DECISIONS_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Decision:
    """`rules` are those of the set that decided, by id, and `currency` its reference currency; both are empty when the
    set cannot be had: the decision stands without them."""

    assessment: dict[str, Any]
    rules: Mapping[str, Mapping[str, Any]]
    currency: str


async def list_decisions(deps: Deps, by: Operator, wanted: Mapping[str, str]) -> dict[str, Any]:
    """A page, newest first; `wanted` are the engine's own filters. Raises ServiceAway, ServiceRefused."""
    page: dict[str, Any] = await deps.risk.get("/v1/assessments", by, {**wanted, "limit": DECISIONS_SHOWN})
    return page


async def show_decision(deps: Deps, by: Operator, assessment_id: str) -> Decision:
    """Raises ServiceAway, ServiceRefused."""
    assessment = await deps.risk.get(f"/v1/assessments/{assessment_id}", by)
    try:
        document = (await deps.risk.get(f"/v1/rule-sets/{assessment['rule_set']}", by))["document"]
    except (ServiceAway, ServiceRefused):
        return Decision(assessment, {}, "")
    return Decision(
        assessment, {rule["id"]: rule for rule in document["rules"]}, document["reference_currency"]
    )
