"""Keep the velocity windows in step with Postgres: project new declines, payments that were decided while Redis did not
answer, and refill all after a loss of Redis.

Redis holds a mark (`WARM_KEY`) and how far declines, labels and such payments were projected, so all are lost together
with what they describe. Everything here is idempotent: an event that is in its window already is not added again, so
a crash half way, or two processes at once, do no harm. Live decisions go on meanwhile and say `velocity_cold`.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from platform_kit.ids import earliest_id
from platform_kit.logging import get_logger
from platform_kit.process import sleep_unless
from risk_engine.clients.features import VelocityUnavailable
from risk_engine.domain.assessment import subject_of
from risk_engine.domain.facts import Subject
from risk_engine.domain.velocity import SERIES
from risk_engine.operations import metrics
from risk_engine.operations.deps import Deps
from risk_engine.store import assessments, labels, outcomes, unseen_payments

POLL_S = 0.25  # a decline counts this soon; the query is one index probe
FRAUDS_POLL_S = 5.0  # they are days old when they come
UNSEEN_POLL_S = 1.0  # Redis is back: an index that is empty but for such times
ROOM_POLL_S = 1.0  # 2,000 wholly new payers at the rate of one core: 5 MB, with a fifth of Redis left
RETRY_S = 1.0
SLICE = 500  # rows read at once, and Lua calls in flight while they are replayed
CALLS_MAX = 16

_HORIZONS = {
    kind: timedelta(milliseconds=max(series.horizon_ms for series in SERIES if series.kind == kind))
    for kind in ("payments", "declines", "frauds")
}
LATE_COMMIT = timedelta(minutes=2)  # a row may become visible this long after one with a higher id

log = get_logger(__name__)


async def follow_outcomes(deps: Deps, stop: asyncio.Event) -> None:
    """Project declines as they come and rebuild what Redis lost, until `stop`."""
    frauds_due_s = room_due_s = unseen_due_s = 0.0
    while not stop.is_set():
        try:
            if time.monotonic() >= room_due_s:
                await deps.features.note_room()
                room_due_s = time.monotonic() + ROOM_POLL_S
            if not await deps.features.is_warm():
                await rebuild_velocity(deps)
            moved = await project_declines(deps)
            if time.monotonic() >= unseen_due_s:
                moved = max(moved, await project_unseen(deps))
                unseen_due_s = time.monotonic() + (0 if moved >= SLICE else UNSEEN_POLL_S)
            if time.monotonic() >= frauds_due_s:
                moved = max(moved, await project_frauds(deps))
                frauds_due_s = time.monotonic() + (0 if moved >= SLICE else FRAUDS_POLL_S)
            await sleep_unless(stop, 0 if moved >= SLICE else POLL_S)
        except (VelocityUnavailable, SQLAlchemyError, OSError) as error:
            log.warning("windows not in step", error=repr(error))
            await sleep_unless(stop, RETRY_S)


async def project_declines(deps: Deps) -> int:
    """Bring the windows up to the newest stored decline; returns how many were recorded."""
    after = await deps.features.declines_seen()
    async with deps.engine.connect() as conn:
        since = deps.clock.now() - _HORIZONS["declines"]
        rows = await outcomes.declines_after(conn, after, since, SLICE)
        last = rows[-1].seq if len(rows) == SLICE else await outcomes.last_seq(conn)
    declines = [(replace(_subject(deps, row), occurred_at=row.occurred_at), 0) for row in rows]
    await _replay(deps, declines, kind="declines")
    if last > after:
        await deps.features.set_declines_seen(last)
    return len(rows)


async def project_frauds(deps: Deps) -> int:
    """Bring the terminals' windows, and what is remembered of payers, up to the newest labels, at the times of the
    payments; returns how many were new.

    The last minutes are read each time again, because labels do not become visible in the order of their ids. A label
    that is taken back leaves the payers' memory; in a terminal's window it stays counted until it is too old.
    """
    now, seen = deps.clock.now(), await deps.features.frauds_seen()
    async with deps.engine.connect() as conn:
        begin = seen or earliest_id("lbl", now - _HORIZONS["frauds"])
        fresh = await labels.frauds(conn, begin, SLICE)
        last = fresh[-1].label_id if len(fresh) == SLICE else await labels.last_id(conn)
        again = await labels.frauds(conn, min(begin, earliest_id("lbl", now - LATE_COMMIT)), SLICE)
    rows = {row.label_id: row for row in (*again, *fresh)}.values()
    for kind, stands in (("frauds", True), ("cleared", False)):
        await _replay(deps, [(_subject(deps, row), 0) for row in rows if row.stands is stands], kind=kind)
    if last > seen:  # also past labels of payments that nobody called fraud: they are not looked at again
        await deps.features.set_frauds_seen(last)
    return len(fresh)


async def project_unseen(deps: Deps) -> int:
    """Record the payments that were decided while Redis did not answer, or answered too late; returns how many.

    Assessments do not become visible in the order of their ids: a second look comes LATE_COMMIT behind the first, and
    what both see is counted once.
    """
    now = deps.clock.now()
    count = 0
    for look, (told, behind) in enumerate(
        zip(await deps.features.unseen_told(), (timedelta(0), LATE_COMMIT), strict=True)
    ):
        after = told or earliest_id("asm", now - _HORIZONS["payments"])
        before = earliest_id("asm", now - behind) if behind else assessments.ID_MAX
        async with deps.engine.connect() as conn:
            rows = await unseen_payments.unseen_between(conn, after, before, SLICE)
        if rows:
            await _replay(deps, [(_subject(deps, row), row.amount) for row in rows], kind="payments")
            await deps.features.set_unseen_told(look, rows[-1].id)
        count = max(count, len(rows))
    return count


async def rebuild_velocity(deps: Deps) -> int:
    """Replay the payments of the longest window into an empty Redis, newest first so that short windows are right
    first; then mark the windows warm. Declines follow by `project_declines`. Returns how many payments.

    What was decided meanwhile is replayed, too: in an upgrade by processes that do not yet keep what this one keeps.
    """
    began_at = deps.clock.now()
    count = await _replay_payments(deps, began_at - _HORIZONS["payments"])
    await _replay_payments(deps, began_at - LATE_COMMIT)
    await deps.features.mark_warm()
    metrics.velocity_rebuilt_total.inc()
    log.info("velocity windows rebuilt", payments=count)
    return count


async def _replay_payments(deps: Deps, oldest: datetime) -> int:
    """Record every stored payment that was decided after `oldest`, newest first; returns how many."""
    before, count = assessments.ID_MAX, 0
    while True:
        async with deps.engine.connect() as conn:
            rows = await assessments.recent_slice(conn, before, SLICE)
        fresh = [row for row in rows if row.created_at > oldest]
        await _replay(deps, [(_subject(deps, row), row.amount) for row in fresh], kind="payments")
        count += len(fresh)
        if len(rows) < SLICE or rows[-1].created_at <= oldest:
            return count
        before = rows[-1].id


async def _replay(deps: Deps, events: Sequence[tuple[Subject, int]], *, kind: str) -> None:
    """Record (subject, amount) pairs, a bounded number of calls at a time."""
    for start in range(0, len(events), CALLS_MAX):
        piece = events[start : start + CALLS_MAX]
        await asyncio.gather(*(deps.features.record(subject, amount, kind=kind) for subject, amount in piece))


def _subject(deps: Deps, row: Any) -> Subject:
    """As payments are known now: by the newest key, whatever it was recorded under."""
    subject = subject_of(row.merchant_id, row.idempotency_key, row.payment_id, row.request)
    upgraded = deps.fingerprints.upgraded
    return replace(
        subject,
        email=upgraded(subject.email),
        ip=upgraded(subject.ip),
        device=upgraded(subject.device),
    )
