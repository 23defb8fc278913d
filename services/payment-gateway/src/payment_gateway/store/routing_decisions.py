"""Routing decisions in and out of the store, the rules that they were made by, and what channels did lately."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.routing import Facts, Route
from payment_gateway.store import rows
from payment_gateway.store.tables import attempt as attempts
from payment_gateway.store.tables import routing_decision as table
from payment_gateway.store.tables import routing_rule_set as rule_sets
from platform_kit.writes import Writes

TALLY_ATTEMPTS = 2000  # the latest authorisations, over all channels, that success rates are made of

_INSERT = rows.insert_statement(table)
REMEMBER_RULES = text(
    f"INSERT INTO {rule_sets.fullname} (digest, rules) VALUES (:digest, CAST(:rules AS jsonb))"  # noqa: S608
    " ON CONFLICT (digest) DO NOTHING"
)
# attempt_pkey, backwards: ids are ordered in time.
TALLY = text(
    "SELECT channel, count(*) FILTER (WHERE outcome = 'succeeded') AS succeeded,"  # noqa: S608 - our own names
    " count(*) FILTER (WHERE outcome IN ('declined', 'not_processed')) AS refused"
    f" FROM (SELECT channel, operation, outcome FROM {attempts.fullname} ORDER BY id DESC LIMIT {TALLY_ATTEMPTS}) a"
    " WHERE operation = 'authorise' GROUP BY channel"
)
LIST_DECISIONS = text(
    f"SELECT d.attempt_id, d.facts, d.route, r.rules FROM {table.fullname} d"  # noqa: S608 - our own names
    f" LEFT JOIN {rule_sets.fullname} r ON r.digest = d.rules_digest"
    " WHERE d.attempt_id > :after ORDER BY d.attempt_id LIMIT :limit"
)


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """Why an attempt goes to its channel; written with the attempt, before it is sent."""

    attempt_id: str
    payment_id: str
    rules_digest: str
    facts: Facts
    route: Route
    decided_at: datetime

    @property
    def id(self) -> str:
        return f"routing {self.attempt_id}"


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as it was written down, with the rules of its time (None: they were never written)."""

    attempt_id: str
    facts: Mapping[str, Any]
    route: Mapping[str, Any]
    rules: Mapping[str, Any] | None


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, RoutingDecision]:
    """Nobody changes a decision."""
    return {}


def insert(writes: Writes, decisions: Iterable[RoutingDecision]) -> None:
    rows.add(writes, _INSERT, map(_row, decisions))


def update(writes: Writes, decisions: Iterable[RoutingDecision]) -> None:
    raise AssertionError("a routing decision is history")


async def remember_rules(conn: AsyncConnection, digest: str, source: Mapping[str, Any]) -> None:
    await conn.execute(REMEMBER_RULES, {"digest": digest, "rules": orjson.dumps(source).decode()})


async def tally(conn: AsyncConnection) -> dict[str, tuple[int, int]]:
    """Channel -> (succeeded, refused) among the latest authorisations; those without a final answer do not count."""
    return {row.channel: (row.succeeded, row.refused) for row in await conn.execute(TALLY)}


async def stored(conn: AsyncConnection, page: int = 1000) -> AsyncIterator[StoredDecision]:
    """Every decision, in order of its attempt's id."""
    after = ""
    while found := (await conn.execute(LIST_DECISIONS, {"after": after, "limit": page})).all():
        for row in found:
            yield StoredDecision(row.attempt_id, row.facts, row.route, row.rules)
        after = found[-1].attempt_id


def _row(decision: RoutingDecision) -> dict[str, Any]:
    return {
        "attempt_id": decision.attempt_id,
        "payment_id": decision.payment_id,
        "rules_digest": decision.rules_digest,
        "facts": decision.facts.as_object(),
        "route": decision.route.as_object(),
        "decided_at": decision.decided_at,
    }
