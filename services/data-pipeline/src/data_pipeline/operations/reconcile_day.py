"""Reconcile one channel's day: fetch its file, let the ledger catch up with it, match, keep the outcome.

The order matters. The file is fetched first and the ledger read later, so that a charge which is in the file
has had the time to reach the ledger; what the ledger booked after the fetch is excluded by its time.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.domain.layouts import read_file
from data_pipeline.domain.reconciliation import EDGE, BreakClass, Reconciliation, with_holds
from data_pipeline.domain.settlement import RefusedFile, SettlementFile
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.match_day import match_day
from data_pipeline.settings import CONSUMER
from data_pipeline.store import breaks as break_store
from data_pipeline.store import facts as fact_store
from data_pipeline.store import positions, runs, settlement_files
from data_pipeline.store.breaks import BreakRow, Counterparts, Finding, nowhere
from data_pipeline.store.runs import RunRow, judged_run, refused_run
from data_pipeline.store.settlement_files import KeptFile
from platform_kit import canonical
from platform_kit.ids import new_id
from platform_kit.problems import InvalidRequest, Unavailable

CATCH_UP_MAX_S: Final = 20.0  # a consumer that is further behind will not catch up within one run
CATCH_UP_POLL_S: Final = 0.2
DAY: Final = timedelta(days=1)


class LedgerBehind(Unavailable):
    """Judging now would call everything missing that is merely on its way."""

    code, title = "ledger-behind", "The warehouse has not caught up with the ledger"


class UnknownChannel(InvalidRequest):
    code, title = "unknown-channel", "There is no settlement file of this channel"


class DayInFuture(InvalidRequest):
    code, title = "day-in-future", "There is no settlement file of a future day"


@dataclass(frozen=True, slots=True)
class ReconcileDay:
    """Which channel's UTC day to reconcile."""

    channel: str
    day: date


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a run keeps besides the file; `breaks` is None when the file was refused."""

    run: RunRow
    breaks: list[BreakRow] | None
    counterparts: Counterparts = nowhere


async def reconcile_day(deps: Deps, command: ReconcileDay) -> RunRow:
    """Run it; a refused file is an outcome too. Raises FileNotAvailable or LedgerBehind: nothing is kept."""
    made_at = _check(deps, command)
    raw = await deps.files.settlement(command.channel, command.day)
    position = await _ledger_after(deps, command.day, made_at)
    read = await asyncio.to_thread(read_file, raw, channel=command.channel, day=command.day)
    file = _kept(command, raw, read, made_at)
    if isinstance(read, RefusedFile):
        judged = _Judged(refused_run(file, position, deps.clock.now()), None)
    else:
        judged = await _judge(deps, file, read, position)
    run = await _keep(deps, file, judged)
    canonical.add(channel=run.channel, day=run.day.isoformat(), state=run.state, break_count=run.break_count)
    return run


def _check(deps: Deps, command: ReconcileDay) -> datetime:
    now = deps.clock.now()
    if command.channel not in deps.settings.channels:
        raise UnknownChannel(f"Known are: {', '.join(deps.settings.channels)}.")
    if command.day > now.date():
        raise DayInFuture()
    return now


async def _ledger_after(deps: Deps, day: date, made_at: datetime) -> int:
    """Wait until we hold all that the gateway had numbered after the file was made; our position then."""
    if day == made_at.date():
        await asyncio.sleep(deps.settings.reconcile_settle_s)
    head = await deps.sources.head(PAYMENTS)
    if head is None:
        raise LedgerBehind("The gateway does not say how far the ledger goes.")
    for _ in range(int(CATCH_UP_MAX_S / CATCH_UP_POLL_S)):
        if (position := await _position(deps)) >= head:
            return position
        await asyncio.sleep(CATCH_UP_POLL_S)
    raise LedgerBehind(f"We are at position {position} of {head}.")


async def _position(deps: Deps) -> int:
    async with deps.engine.connect() as conn:
        rows = await positions.read(conn, CONSUMER)
    return next((int(row["position"]) for row in rows if row["stream"] == PAYMENTS), 0)


def _kept(
    command: ReconcileDay, raw: bytes, read: SettlementFile | RefusedFile, fetched_at: datetime
) -> KeptFile:
    refused = read if isinstance(read, RefusedFile) else None
    return KeptFile(
        id=new_id("sf"),
        channel=command.channel,
        settled_on=command.day,
        sha256=hashlib.sha256(raw).hexdigest(),
        raw=raw,
        byte_count=len(raw),
        line_count=len(read.lines) if isinstance(read, SettlementFile) else None,
        fault=refused.fault if refused else None,
        fault_line=refused.line if refused else None,
        fault_detail=refused.detail if refused else None,
        fetched_at=fetched_at,
    )


async def _judge(deps: Deps, file: KeptFile, read: SettlementFile, position: int) -> _Judged:
    """Match both sides; lines of the neighbouring days come along as counterparts."""
    begins_at = datetime.combine(file.settled_on, time(), UTC)
    async with deps.engine.connect() as conn:
        ledger = await fact_store.ledger_lines(conn, file.channel, begins_at - EDGE, begins_at + DAY + EDGE)
        neighbours = {
            day: await settlement_files.newest_accepted(conn, file.channel, day)
            for day in (file.settled_on - DAY, file.settled_on + DAY)
        }
    terms = deps.terms.get(file.channel)
    outcome = await asyncio.to_thread(match_day, file, read, ledger, neighbours, terms)
    outcome = await _tell_held(deps, file, outcome)
    run = judged_run(file, read, ledger, outcome, position, deps.clock.now())
    text_of = _lines_of(file.raw) if outcome.breaks else str
    found = [break_store.break_row(run, file, broken, text_of) for broken in outcome.breaks]
    return _Judged(run, found, lambda closed: _counterparts(closed, file, outcome))


def _counterparts(
    closed: Sequence[Mapping[str, Any]], file: KeptFile, outcome: Reconciliation
) -> dict[str, dict[str, Any]]:
    """Where each side has what a line of the other waited for: the file's line, the ledger's journal, or that a
    neighbouring day's file has it."""
    unbooked = {
        (row["settled_type"], row["channel_reference"]): row["id"]
        for row in closed
        if not row["journal_id"] and row["channel_reference"]
    }
    waited = {row["journal_id"]: row["id"] for row in closed if row["journal_id"]}
    came: dict[str, dict[str, Any]] = {
        waited[pair.ledger.journal_id]: {"file_sha256": file.sha256, "file_line": pair.file.number}
        for pair in outcome.matches
        if pair.ledger.journal_id in waited
    }
    for pair in outcome.matches:
        if found := unbooked.get((pair.file.line.type, pair.file.line.channel_reference)):
            came[found] = {"journal_id": pair.ledger.journal_id}
    for excluded in outcome.excluded:
        if excluded.ledger.journal_id in waited:
            came[waited[excluded.ledger.journal_id]] = {"excluded": excluded.reason}
    return came


async def _tell_held(deps: Deps, file: KeptFile, outcome: Reconciliation) -> Reconciliation:
    """What the channel settled and we only hold is another break than what we know nothing of."""
    references = [
        broken.file.line.channel_reference
        for broken in outcome.breaks
        if broken.file and broken.break_class is BreakClass.MISSING_IN_LEDGER
    ]
    if not references:
        return outcome
    async with deps.engine.connect() as conn:
        holds = await fact_store.holds(conn, file.channel, references)
    return with_holds(outcome, file.settled_on, file.channel, holds)


def _lines_of(raw: bytes) -> Callable[[int], str]:
    rows = raw.decode().split("\n")
    return lambda number: rows[number - 1]


async def _keep(deps: Deps, file: KeptFile, judged: _Judged) -> RunRow:
    """One transaction, one run of a day at a time; a run over an older file than one kept moves no break."""
    async with deps.engine.begin() as conn:
        await runs.lock_day(conn, file.channel, file.settled_on)
        run = replace(judged.run, file_id=await settlement_files.keep(conn, file))
        is_newest = await runs.is_newest(conn, run)
        await runs.add_run(conn, run)
        await runs.forget_old_runs(conn, run.channel, run.day)
        if judged.breaks is not None and is_newest:
            finding = Finding(run.id, run.day, run.channel, run.finished_at)
            await break_store.replace_breaks(conn, finding, judged.breaks, judged.counterparts)
    return run
