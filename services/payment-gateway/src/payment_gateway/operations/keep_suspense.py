"""Book what a channel's file has and nobody can explain, and resolve it when somebody can. The administrator's acts: a
break often closes by itself within minutes, so a person decides what is unexplained (ADR 0089).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from payment_gateway.domain import suspense as domain
from payment_gateway.domain.audit import Actor, Entry, StoredEntry
from payment_gateway.domain.ledger import Journal
from payment_gateway.domain.suspense import Suspense, Target, suspense_object
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.money_events import suspense_event
from payment_gateway.operations.problems import SuspenseDiffers, UnknownReference, problem_of
from payment_gateway.store import audit_log, merchants, suspense
from payment_gateway.store.commit import Commit, Done, Effects, Locked, Refused, postings_accounts
from platform_kit.ids import is_id, new_id
from platform_kit.problems import InvalidRequest, NotFound


async def book_suspense(deps: Deps, wanted: Suspense, by: Actor) -> dict[str, Any]:
    """The item; the same again changes nothing. Raises UnknownReference for a strange channel, SuspenseDiffers."""
    if wanted.channel not in deps.channels:
        raise UnknownReference(f"Channels are: {', '.join(sorted(deps.channels))}.")
    lines = domain.booking(wanted)

    def decide(locked: Locked) -> Effects:
        if wanted.id in locked.rows:
            return Effects()
        item = replace(wanted, created_at=locked.now)
        return _effects("suspense.booked.v1", item, Journal(new_id("je"), None, lines), locked, by)

    commit = Commit(decide, also=((suspense, wanted.id),), accounts=postings_accounts(lines))
    booked = await _done(deps, commit, wanted.id)
    if not domain.is_same(booked, wanted):
        raise SuspenseDiffers()
    return suspense_object(booked)


@dataclass(frozen=True, slots=True)
class ResolveSuspense:
    """`merchant_id` for Target.MERCHANT alone."""

    item_id: str
    to: Target
    note: str
    merchant_id: str | None = None


async def resolve_suspense(deps: Deps, command: ResolveSuspense, by: Actor) -> dict[str, Any]:
    """The resolved item. Raises NotFound, InvalidRequest, UnknownReference, InvalidState for one that is resolved."""
    if (command.to is Target.MERCHANT) is not (command.merchant_id is not None):
        raise InvalidRequest("merchant_id belongs to `merchant`, and to nothing else.")
    async with deps.engine.connect() as connection:
        found = await suspense.get(connection, command.item_id)
        merchant_id = command.merchant_id
        if found is None:
            raise NotFound("There is no such item.")
        if merchant_id and not (is_id("mer", merchant_id) and await merchants.get(connection, merchant_id)):
            raise UnknownReference("There is no such merchant.")
    lines = domain.resolution(found, command.to, merchant_id)

    def decide(locked: Locked) -> Effects:
        item = domain.resolved(locked.rows[found.id], command.to, merchant_id, command.note, locked.now)
        return _effects("suspense.resolved.v1", item, Journal(new_id("je"), None, lines), locked, by)

    commit = Commit(decide, also=((suspense, found.id),), accounts=postings_accounts(lines))
    return suspense_object(await _done(deps, commit, found.id))


async def list_suspense(
    deps: Deps, *, after: str | None, is_open: bool, limit: int
) -> Sequence[dict[str, Any]]:
    """One more than `limit` when there are more."""
    async with deps.engine.connect() as connection:
        found = await suspense.page(connection, after=after, is_open=is_open, limit=limit + 1)
    return [suspense_object(item) for item in found]


async def _done(deps: Deps, commit: Commit, item_id: str) -> Suspense:
    done = await deps.committer.submit(commit)
    if isinstance(done, Refused):
        raise problem_of(done.error)
    assert isinstance(done, Done)
    item: Suspense = done.rows[item_id]
    return item


def _effects(kind: str, item: Suspense, journal: Journal, locked: Locked, by: Actor) -> Effects:
    """The item, its money, its event, and who did it: one commit."""
    action = kind.removesuffix(".v1")
    entry = Entry(action, item.resolved_merchant, item.id, suspense_object(item))
    return Effects(
        rows=((suspense, item), (audit_log, StoredEntry(new_id("aud"), entry, by, locked.now))),
        journal=journal,
        events=(suspense_event(kind, item, journal, locked.now),),
    )
