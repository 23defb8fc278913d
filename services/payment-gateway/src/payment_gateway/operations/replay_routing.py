"""Recompute every stored routing decision from what was stored with it, and tell where the choice differs."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from payment_gateway.domain.routing import Facts, NoRoute, choose
from payment_gateway.domain.routing_rules import InvalidRules, parse_rules
from payment_gateway.store import routing_decisions
from payment_gateway.store.routing_decisions import StoredDecision


@dataclass(frozen=True, slots=True)
class Replay:
    """How many decisions were recomputed, and a line for each that came out differently."""

    decisions: int
    differences: tuple[str, ...]


async def replay_routing(engine: AsyncEngine) -> Replay:
    """Reads only."""
    count = 0
    differences: list[str] = []
    async with engine.connect() as connection:
        async for decision in routing_decisions.stored(connection):
            count += 1
            if difference := difference_of(decision):
                differences.append(f"{decision.attempt_id}: {difference}")
    return Replay(count, tuple(differences))


def difference_of(decision: StoredDecision) -> str | None:
    """What is different this time; None = the same channel for the same reasons."""
    if decision.rules is None:
        return "its rules were never written down"
    try:
        route = choose(Facts.of_object(decision.facts), parse_rules(decision.rules))
    except (InvalidRules, NoRoute) as error:
        return f"now refused: {error}"
    now = {**route.as_object(), "candidates": list(route.as_object()["candidates"])}
    return next(
        (
            f"{name} was {decision.route.get(name)}, is {value}"
            for name, value in now.items()
            if decision.route.get(name) != value
        ),
        None,
    )
