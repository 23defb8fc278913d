"""Who opens a page, and what its frame shows: freshness, and what waits for somebody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from data_pipeline.domain.operators import Operator, hash_session, is_live
from data_pipeline.operations.count_waiting import count_waiting
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_status import StreamStatus, read_streams
from data_pipeline.store import breaks as break_store
from data_pipeline.store import operators
from data_pipeline.store import quarantine as quarantine_store

TOUCH_EVERY: Final = timedelta(minutes=1)  # a session is written to once a minute, not with every page


@dataclass(frozen=True, slots=True)
class Visit:
    """One page view of an operator. `waiting` counts what somebody must act on, by the rail's names for it."""

    operator: Operator
    now: datetime
    streams: Mapping[str, StreamStatus]
    waiting: Mapping[str, int]


async def enter_console(deps: Deps, session_id: str, *, is_active: bool = True) -> Visit | None:
    """None for who is not logged in, or no longer. `is_active` is False for a page that refreshes itself: an unwatched
    screen must not keep its session."""
    now, id_hash = deps.clock.now(), hash_session(session_id)
    async with deps.engine.begin() as conn:
        session = await operators.session(conn, id_hash)
        if session is None or not is_live(session.created_at, session.seen_at, now):
            return None
        if is_active and now - session.seen_at >= TOUCH_EVERY:
            await operators.touch(conn, id_hash, now)
        waiting = {
            **count_waiting(deps, session.operator),
            "breaks": await break_store.count_open(conn),
            "quarantine": (await quarantine_store.open_summary(conn))[0],
        }
    return Visit(session.operator, now, await read_streams(deps), waiting)
