"""What waits for somebody at the risk engine: cases and alerts, counted beside the pages and never before one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakKeyDictionary

from data_pipeline.clients.service_api import ServiceApi, ServiceAway, ServiceRefused
from data_pipeline.domain.operators import Operator
from data_pipeline.operations.deps import Deps

COUNT_EVERY_S: Final = 5.0
COUNTED_MAX: Final = 50  # what is more counts as one more: nobody works faster for the number
QUESTIONS: Final[Mapping[str, tuple[str, Mapping[str, str | int]]]] = {
    "cases": ("/v1/cases", {"limit": COUNTED_MAX + 1}),
    "alerts": ("/v1/alerts", {"limit": COUNTED_MAX + 1, "status": "firing"}),
}


@dataclass(slots=True)
class _Kept:
    """What one operator was told last."""

    counts: dict[str, int] = field(default_factory=dict)
    asked_at_s: float = float("-inf")
    asking: asyncio.Task[None] | None = None


_kept: WeakKeyDictionary[ServiceApi, dict[str, _Kept]] = WeakKeyDictionary()


def count_waiting(deps: Deps, by: Operator) -> Mapping[str, int]:
    """What was known last, and a question on its way when that is older than COUNT_EVERY_S: a page never waits for the
    engine. What it does not tell this operator is left out."""
    kept = _kept.setdefault(deps.risk, {}).setdefault(by.name, _Kept())
    now_s = asyncio.get_running_loop().time()
    if kept.asking is None and now_s - kept.asked_at_s >= COUNT_EVERY_S:
        kept.asked_at_s = now_s
        kept.asking = asyncio.create_task(_ask(deps, by, kept))
    return kept.counts


async def _ask(deps: Deps, by: Operator, kept: _Kept) -> None:
    try:
        found = await asyncio.gather(*(_count(deps, by, *question) for question in QUESTIONS.values()))
        kept.counts = {name: count for name, count in zip(QUESTIONS, found, strict=True) if count is not None}
    finally:
        kept.asking = None


async def _count(deps: Deps, by: Operator, path: str, params: Mapping[str, Any]) -> int | None:
    try:
        return len((await deps.risk.get(path, by, params))["data"])
    except (ServiceAway, ServiceRefused):
        return None
