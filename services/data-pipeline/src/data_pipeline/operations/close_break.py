"""Act on a break: note, assign, close with a reason, approve, reject. What is agreed on is booked in the gateway's
ledger between two transactions; a try that was cut off is finished by sending the act again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.clients.ledger_corrections import CorrectionOrder
from data_pipeline.domain import closing
from data_pipeline.domain.closing import Act, MayNot, SamePerson, Sides, Standing, State
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.show_break import show_break
from data_pipeline.store import breaks
from data_pipeline.store.breaks import ActRow
from platform_kit import canonical
from platform_kit.ids import new_id
from platform_kit.problems import NotFound, Problem


class ActNotPossible(Problem):
    status, code, title = 409, "act-not-possible", "The break does not stand so that this can be done"


class FourEyes(Problem):
    status, code, title = 403, "four-eyes", "It takes another person"


@dataclass(frozen=True, slots=True)
class CloseBreak:
    """What `actor` does, and why. `owner` is whose the break is from now on; None leaves it."""

    break_id: str
    act: Act
    actor: str
    note: str
    owner: str | None = None


async def close_break(deps: Deps, command: CloseBreak) -> dict[str, Any]:
    """The break as it stands then. Raises NotFound, ActNotPossible, FourEyes, LedgerNotReached, CorrectionRefused."""
    now = deps.clock.now()
    async with deps.engine.begin() as conn:  # 1. commit what was decided
        found = await _locked(conn, command.break_id)
        before, sides = breaks.standing_of(found), breaks.sides_of(found)
        after = _decided(before, sides, command, deps.settings.four_eyes_above)
        if command.owner is not None:
            after = replace(after, owner=command.owner)
        await breaks.stand(conn, command.break_id, after, now)
        await breaks.add_act(conn, _act(command, after, sides, now))
    canonical.add(break_id=command.break_id, act=command.act, state=after.state)
    if after.state is State.BOOKING:
        await _book(deps, found, after, sides, command)  # 2. no transaction is open here
    return await show_break(deps, command.break_id)


async def _book(
    deps: Deps, found: dict[str, Any], standing: Standing, sides: Sides, command: CloseBreak
) -> None:
    """In the ledger, once per currency, under the break's name; then 3. commit that it is there."""
    items = [
        await deps.corrections.book(
            CorrectionOrder(
                channel=found["channel"],
                reference=f"{found['id']}.{correction.currency.lower()}",
                correction=correction,
                note=command.note,
                actor=command.actor,
                writes_off=standing.resolution is Act.WRITE_OFF,
            )
        )
        for correction in closing.corrections(sides)
    ]
    now = deps.clock.now()
    async with deps.engine.begin() as conn:
        current = breaks.standing_of(await _locked(conn, found["id"]))
        if current.state is not State.BOOKING:
            return  # another try was quicker
        after = closing.booked(current)
        await breaks.stand(conn, found["id"], after, now)
        details = {"suspense": [item["id"] for item in items]}
        row = ActRow(
            new_id("act"), found["id"], Act.BOOKED, breaks.THE_PLATFORM, None, None, after.state, details, now
        )
        await breaks.add_act(conn, row)


async def _locked(conn: AsyncConnection, break_id: str) -> dict[str, Any]:
    found = await breaks.lock(conn, break_id)
    if found is None:
        raise NotFound("There is no such break.")
    return found


def _decided(before: Standing, sides: Sides, command: CloseBreak, four_eyes_above: int) -> Standing:
    try:
        return closing.decide(before, sides, command.act, command.actor, four_eyes_above=four_eyes_above)
    except SamePerson as refused:
        raise FourEyes(str(refused)) from refused
    except MayNot as refused:
        raise ActNotPossible(str(refused)) from refused


def _act(command: CloseBreak, after: Standing, sides: Sides, at: datetime) -> ActRow:
    return ActRow(
        id=new_id("act"),
        break_id=command.break_id,
        act=command.act,
        actor=command.actor,
        note=command.note,
        owner=command.owner,
        state=after.state,
        details={"difference_minor": closing.differences(sides)},
        at=at,
    )
