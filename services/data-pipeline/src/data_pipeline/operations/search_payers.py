"""Find payments by an e-mail or a card's last four digits. We hold neither: the gateway looks among what it sealed and
writes down who asked, the risk engine among the fingerprints of 30 days; what they name is shown from our own facts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from data_pipeline.clients.service_api import ServiceAway, ServiceRefused
from data_pipeline.domain.operators import Operator
from data_pipeline.operations.deps import Deps
from data_pipeline.store import merchants as merchant_store
from data_pipeline.store import payment_list

GATEWAY_SEARCH: Final = "/internal/payments/search"
RISK_SEARCH: Final = "/v1/assessments/by-email"


@dataclass(frozen=True, slots=True)
class Payers:
    """`payments` are those that have arrived here, newest first; `missing` counts the others. `away` are services that
    did not say. `is_whole`: all were looked at; with `next_before` a search for digits goes on."""

    payments: list[dict[str, Any]]
    names: Mapping[str, str]
    missing: int
    away: Sequence[str]
    is_whole: bool
    next_before: str | None = None


async def find_by_email(deps: Deps, by: Operator, email: str) -> Payers:
    """Of whoever the gateway knows by it alone, and whose payments the risk engine saw with it lately."""
    told, seen = await asyncio.gather(
        _asked(deps.gateway.act(GATEWAY_SEARCH, by, {"email": email})),
        _asked(deps.risk.act(RISK_SEARCH, by, {"email": email})),
    )
    away = [api.name for api, answer in ((deps.gateway, told), (deps.risk, seen)) if answer is None]
    return await _shown(deps, [told, seen], away)


async def find_by_last_four(deps: Deps, by: Operator, digits: str, before: str = "") -> Payers:
    """Of cards that end so, among the newest payments, or among those before one."""
    asked = {"last_four": digits} | ({"before": before} if before else {})
    told = await _asked(deps.gateway.act(GATEWAY_SEARCH, by, asked))
    return await _shown(deps, [told], [deps.gateway.name] if told is None else [])


async def _asked(answer: Any) -> dict[str, Any] | None:
    """None from who is away, or has no keys to look with."""
    try:
        told: dict[str, Any] = await answer
        return told
    except (ServiceAway, ServiceRefused):
        return None


async def _shown(deps: Deps, answers: Sequence[Mapping[str, Any] | None], away: Sequence[str]) -> Payers:
    told = [answer for answer in answers if answer is not None]
    ids = {one["payment_id"] for answer in told for one in answer["data"]}
    async with deps.engine.connect() as conn:
        payments = await payment_list.of_ids(conn, ids)
        names = await merchant_store.names(conn, (payment["merchant_id"] for payment in payments))
    return Payers(
        payments=payments,
        names=names,
        missing=len(ids) - len(payments),
        away=away,
        is_whole=all(answer.get("is_whole", True) for answer in told),
        next_before=next((answer["next_before"] for answer in told if answer.get("next_before")), None),
    )
