"""Find payments that share something: with one payment, with those of a case, or an e-mail that somebody types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.problems import NotFound
from risk_engine.domain.related_payments import LINKED_FOR, related_by
from risk_engine.operations.deps import Deps
from risk_engine.store import assessments, payment_links

ENTITIES_MAX: Final = 20  # whose related payments are looked up ...
RELATED_EACH: Final = 10  # ... and of each the newest: at most 200 rows, whatever an attack has made
SEARCHED_MAX: Final = 50  # of one e-mail


async def find_related(deps: Deps, assessment_id: str) -> list[dict[str, Any]]:
    """What shares something with the payment of this assessment, newest first. Raises NotFound."""
    async with deps.engine.connect() as conn:
        found = await assessments.find(conn, assessment_id)
        if found is None:
            raise NotFound("No assessment has this id.")
        return await related_to(deps, conn, found["merchant_id"], {assessment_id: found["request"]})


async def find_by_email(deps: Deps, email: str) -> list[dict[str, Any]]:
    """The newest payments of 30 days with this e-mail, at any merchant. It is looked for by the names that it may have
    been given (its fingerprint under each key), and kept nowhere."""
    entities = [f"email:{name}" for name in deps.fingerprints.forms_of("email", email.lower())]
    async with deps.engine.connect() as conn:
        return await _related(deps, conn, entities, each=SEARCHED_MAX, without=[])


async def related_to(
    deps: Deps, conn: AsyncConnection, merchant_id: str, requests: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What shares something with one of these assessments of a merchant (id -> request, the most important first), but
    for themselves. What was named by an older key may be linked by that, and by the newest."""
    entities = dict.fromkeys(
        form
        for request in requests.values()
        for entity in related_by(merchant_id, request)
        for form in (deps.fingerprints.upgraded_entity(entity), entity)
    )
    wanted = list(entities)[:ENTITIES_MAX]
    return await _related(deps, conn, wanted, each=RELATED_EACH, without=list(requests))


async def _related(
    deps: Deps, conn: AsyncConnection, entities: Sequence[str], *, each: int, without: Sequence[str]
) -> list[dict[str, Any]]:
    since = deps.clock.now() - LINKED_FOR
    rows = await payment_links.related(conn, entities, since, each=each, without=without)
    return _related_objects(rows)


def _related_objects(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Each payment once, with what it shares, newest first."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        shown = found.setdefault(
            row.id,
            {
                "payment_id": row.payment_id,
                "assessment_id": row.id,
                "merchant_id": row.merchant_id,
                "shares": [],
                "decision": row.decision,
                "score": row.score,
                "amount_minor": row.request["amount_minor"],
                "currency": row.request["currency"],
                "occurred_at": row.request["occurred_at"],
            },
        )
        name = row.entity.partition(":")[0]
        if name not in shown["shares"]:
            shown["shares"].append(name)
    return list(found.values())
