"""Act on a break: note, assign, close with a reason, approve, reject. What is agreed on is booked in the gateway's
ledger between two transactions; a try that was cut off is finished by sending the act again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.clients.ledger_corrections import CorrectionOrder, CorrectionRefused
from data_pipeline.domain import closing
from data_pipeline.domain.closing import (
    BOOKS,
    Act,
    Correction,
    Decision,
    MayNot,
    SamePerson,
    Sides,
    Standing,
    State,
)
from data_pipeline.domain.operators import Permission
from data_pipeline.operations.admit_operator import admitted
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.show_break import show_break
from data_pipeline.store import breaks
from data_pipeline.store.breaks import ActRow
from platform_kit import canonical
from platform_kit.ids import new_id
from platform_kit.problems import NotFound, Problem

DECIDING: Final = (*BOOKS, Act.APPROVE)
"""What books, and books again what a try before it could not: a note moves no money."""
FREE: Final = (Act.NOTE, Act.ASSIGN)
"""What every operator may do."""
OTHER_SIDES: Final = "The sides say something else by now: what is left of the difference is open."


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
    """The break as it stands then. Raises NotFound, MayNotAct, ActNotPossible, FourEyes, LedgerNotReached,
    CorrectionRefused."""
    now = deps.clock.now()
    async with deps.engine.begin() as conn:  # 1. commit what was decided
        needed = None if command.act in FREE else Permission.CLOSE_BREAKS
        await admitted(conn, command.actor, needed)
        found, sides = await _locked(conn, command.break_id)
        before = breaks.standing_of(found)
        after = _decided(before, sides, command, deps.settings.four_eyes_above)
        if command.owner is not None:
            after = replace(after, owner=command.owner)
        decision = await breaks.last_decision(conn, command.break_id)
        details: dict[str, Any] = {"difference_minor": closing.differences(sides)}
        if after.state is State.BOOKING and before.state is not State.BOOKING:
            decision = _decision(command, after, sides, 1 + (decision.number if decision else 0))
            details["decision"] = breaks.decision_details(decision)
        await breaks.stand(conn, command.break_id, after, now)
        await breaks.add_act(conn, _act(command, after, details, now))
    canonical.add(break_id=command.break_id, act=command.act, state=after.state)
    if after.state is State.BOOKING and command.act in DECIDING:
        assert decision is not None
        await _book(deps, found, decision)  # 2. no transaction is open here
    return await show_break(deps, command.break_id)


async def possible_acts(deps: Deps, break_id: str, actor: str) -> tuple[Act, ...]:
    """Which reasons and answers are taken from this person, as the break stands now. Raises NotFound."""
    async with deps.engine.connect() as conn:
        found = await breaks.get(conn, break_id)
        booked = await breaks.booked_of(conn, [break_id])
    if found is None:
        raise NotFound("There is no such break.")
    sides = breaks.sides_of(found, booked.get(break_id, {}))
    return closing.possible(
        breaks.standing_of(found), sides, actor, four_eyes_above=deps.settings.four_eyes_above
    )


async def _book(deps: Deps, found: dict[str, Any], decision: Decision) -> None:
    """In the ledger, once per currency, under the names of break and decision; then 3. commit what came of it."""
    ids: list[str] = []
    entries: list[Correction] = []
    for correction in decision.corrections:
        try:
            item = await deps.corrections.book(
                CorrectionOrder(
                    channel=found["channel"],
                    reference=f"{found['id']}.{decision.number}.{correction.currency.lower()}",
                    correction=correction,
                    note=decision.note,
                    actor=decision.actor,
                    writes_off=decision.resolution is Act.WRITE_OFF,
                )
            )
        except CorrectionRefused as refused:
            entries += [correction] if refused.is_booked else []
            await _end(deps, found["id"], decision, ids, entries, refused)
            raise
        ids.append(item["id"])
        entries.append(correction)
    await _end(deps, found["id"], decision, ids, entries)


async def _end(
    deps: Deps,
    break_id: str,
    decision: Decision,
    ids: Sequence[str],
    entries: Sequence[Correction],
    refused: CorrectionRefused | None = None,
) -> None:
    """Commit which entries the ledger has, and how the break stands with them."""
    now = deps.clock.now()
    booked_minor = closing.booked_minor(entries)
    async with deps.engine.begin() as conn:
        found, sides = await _locked(conn, break_id)
        current = breaks.standing_of(found)
        if current.state is not State.BOOKING or await breaks.last_decision(conn, break_id) != decision:
            return  # another try was quicker
        note: str | None
        if refused is not None:
            act, after, note = Act.REFUSED, closing.refused(current), refused.detail
        else:
            total = Counter(sides.booked_minor)
            total.update(booked_minor)  # unlike +, it keeps what is below zero
            after = closing.booked(current, replace(sides, booked_minor=total))
            act, note = Act.BOOKED, OTHER_SIDES if after.state is State.OPEN else None
        await breaks.stand(conn, break_id, after, now)
        details = {"suspense": ids, "booked_minor": booked_minor, "number": decision.number}
        row = ActRow(new_id("act"), break_id, act, breaks.THE_PLATFORM, note, None, after.state, details, now)
        await breaks.add_act(conn, row)


async def _locked(conn: AsyncConnection, break_id: str) -> tuple[dict[str, Any], Sides]:
    found = await breaks.lock(conn, break_id)
    if found is None:
        raise NotFound("There is no such break.")
    booked = await breaks.booked_of(conn, [break_id])
    return found, breaks.sides_of(found, booked.get(break_id, {}))


def _decision(command: CloseBreak, after: Standing, sides: Sides, number: int) -> Decision:
    assert after.resolution is not None
    return Decision(number, after.resolution, closing.corrections(sides), command.actor, command.note)


def _decided(before: Standing, sides: Sides, command: CloseBreak, four_eyes_above: int) -> Standing:
    try:
        return closing.decide(before, sides, command.act, command.actor, four_eyes_above=four_eyes_above)
    except SamePerson as refused:
        raise FourEyes(str(refused)) from refused
    except MayNot as refused:
        raise ActNotPossible(str(refused)) from refused


def _act(command: CloseBreak, after: Standing, details: dict[str, Any], at: datetime) -> ActRow:
    return ActRow(
        id=new_id("act"),
        break_id=command.break_id,
        act=command.act,
        actor=command.actor,
        note=command.note,
        owner=command.owner,
        state=after.state,
        details=details,
        at=at,
    )
