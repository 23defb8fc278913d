"""Payments that share a card, customer, device, address or e-mail with one. Only the risk engine can tell: it knows
them by fingerprints, and we by none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_pipeline.clients.service_api import ServiceAway, ServiceRefused
from data_pipeline.domain.operators import Operator
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.name_merchants import name_merchants


@dataclass(frozen=True, slots=True)
class Related:
    """Newest first; `shared` is how many share what."""

    payments: list[dict[str, Any]]
    shared: Mapping[str, int]
    names: Mapping[str, str]


async def find_related(deps: Deps, by: Operator, assessment_id: str | None) -> Related | None:
    """None when the engine does not say; nothing of a payment that was never assessed."""
    if assessment_id is None:
        return Related([], {}, {})
    try:
        told = (await deps.risk.get(f"/v1/assessments/{assessment_id}/related", by))["data"]
    except (ServiceAway, ServiceRefused):
        return None
    return Related(
        told,
        Counter(what for one in told for what in one["shares"]),
        await name_merchants(deps, (one["merchant_id"] for one in told)),
    )
