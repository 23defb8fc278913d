"""Make lists, bring entries on and off, see what they did; and keep the copy in this process in step."""

from collections.abc import Mapping, Sequence
from typing import Any

from platform_kit.db import each_by_itself
from platform_kit.logging import get_logger
from platform_kit.problems import NotFound, Problem
from risk_engine.domain.lists import ENTRIES_MAX, ListType, fault_of, forms_of, upgraded
from risk_engine.domain.staff import Actor, Role
from risk_engine.operations.deps import Deps
from risk_engine.store import assessments, lists

SLICE = 5_000  # changes read at once
ID_MAX = 2**62
WIDE = frozenset(
    {ListType.COUNTRY, ListType.BIN, ListType.MERCHANT}
)  # one entry speaks of thousands of payers

log = get_logger(__name__)


class ListExists(Problem):
    status, code, title = 409, "list-exists", "There is a list of this name"


class LeadNeeded(Problem):
    status, code, title = 403, "not-permitted", "A list of this type is a lead's to change"


class TooManyEntries(Problem):
    status, code, title = 409, "too-many-entries", "The lists are full"


async def make_list(deps: Deps, name: str, kind: ListType, note: str | None, by: Actor) -> dict[str, Any]:
    """A new list with nobody on it; rules read it as `list_<name>`. Raises ListExists, LeadNeeded."""
    _require_lead_for(kind, by)
    async with deps.engine.begin() as conn:
        if not await lists.add_list(conn, name, kind, note, by.name):
            raise ListExists("Take another name; a list keeps its type for good.")
        return next(one for one in await lists.all_lists(conn) if one["name"] == name)


async def all_lists(deps: Deps) -> Sequence[dict[str, Any]]:
    """All lists by name."""
    async with deps.engine.connect() as conn:
        return await lists.all_lists(conn)


async def add_entries(
    deps: Deps, name: str, entries: Sequence[Mapping[str, Any]], by: Actor
) -> Sequence[dict[str, Any]]:
    """Bring {"value", "reason", "expires_at"} on a list, each with an answer of its own: added, renewed (it was on the
    list: its reason and end are the new ones) or refused with a sentence. Raises NotFound, TooManyEntries."""
    async with deps.engine.begin() as conn:
        await lists.lock(conn)
        kind = await lists.type_of(conn, name)
        if kind is None:
            raise NotFound("No list has this name.")
        _require_lead_for(kind, by)
        if await lists.count_current(conn) + len(entries) > ENTRIES_MAX:
            raise TooManyEntries(f"All lists together hold {ENTRIES_MAX:,} entries; take some off first.")
        return [await _add(deps, conn, name, kind, entry, by) for entry in entries]


async def _add(
    deps: Deps, conn: Any, name: str, kind: ListType, entry: Mapping[str, Any], by: Actor
) -> dict[str, Any]:
    try:
        entity, *older = forms_of(kind, entry["value"], deps.fingerprints)
    except ValueError as error:
        return {"result": "refused", "id": None, "detail": str(error)}
    values = {"value": entry["value"], "reason": entry["reason"], "expires_at": entry["expires_at"]}
    if not await lists.remove_entities(conn, name, [entity, *older], by.name):
        made = await lists.add(conn, name, entity, by.name, values)
        return {"result": "added", "id": made, "detail": None}
    return {
        "result": "renewed",
        "id": await lists.add(conn, name, entity, by.name, values),
        "detail": None,
    }


def _require_lead_for(kind: ListType, by: Actor) -> None:
    if kind in WIDE and by.role is not Role.LEAD:
        raise LeadNeeded(f"An entry of type {kind} speaks of many payers at once: ask a lead.")


async def remove_entry(deps: Deps, name: str, entry_id: int, by: Actor) -> dict[str, Any]:
    """The entry, off its list; the first time counts. Raises NotFound."""
    async with deps.engine.begin() as conn:
        await lists.lock(conn)
        if (kind := await lists.type_of(conn, name)) is not None:
            _require_lead_for(kind, by)
        await lists.remove(conn, name, entry_id, by.name)
        found = await lists.entry(conn, name, entry_id)
    if found is None or kind is None:
        raise NotFound("This list has no such entry.")
    return _shown(kind, found)


def _shown(kind: ListType, entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"warning": fault_of(kind, entry["value"])}


async def list_entries(
    deps: Deps, name: str, cursor: int | None, limit: int, *, with_removed: bool
) -> dict[str, Any]:
    """A page of entries, newest first, and the cursor of the next one. Raises NotFound."""
    async with deps.engine.connect() as conn:
        kind = await lists.type_of(conn, name)
        if kind is None:
            raise NotFound("No list has this name.")
        rows = await lists.page(
            conn, name, before=cursor or ID_MAX, limit=limit + 1, with_removed=with_removed
        )
    return {
        "data": [_shown(kind, row) for row in rows[:limit]],
        "next_cursor": rows[limit - 1]["id"] if len(rows) > limit else None,
    }


async def list_hits(deps: Deps, name: str, cursor: str | None, limit: int) -> dict[str, Any]:
    """Assessments that the list spoke of, newest first. Raises NotFound."""
    async with deps.engine.connect() as conn:
        if await lists.type_of(conn, name) is None:
            raise NotFound("No list has this name.")
        rows = await lists.hits(conn, name, cursor or assessments.ID_MAX, limit + 1)
    is_last = len(rows) <= limit
    return {"data": rows[:limit], "next_cursor": None if is_last else rows[limit - 1]["assessment_id"]}


async def follow_lists(deps: Deps) -> int:
    """Bring this process's lists up to the newest change; returns how many changes there were.

    Raises SQLAlchemyError or OSError when Postgres is away: the process goes on with what it has.
    """
    seen = 0
    while True:
        async with each_by_itself(deps.engine).connect() as conn:
            found, last = await lists.changes(conn, deps.lists.seen, SLICE)
            if not deps.lists.seen:
                for name, kind in (await lists.types(conn)).items():
                    deps.lists.copy.declare(name, kind)
        deps.lists.copy.apply(upgraded(one, deps.fingerprints) for one in found)
        deps.lists.seen = last
        seen += len(found)
        if len(found) < SLICE:
            break
    if seen:
        deps.lists.copy.forget_ended(deps.clock.now())
        log.info("lists in step", changes=seen, change=deps.lists.seen)
    return seen
