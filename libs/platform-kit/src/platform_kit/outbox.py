"""Events out: appended in the business transaction, numbered after its commit, then put on a Redis stream.

Why numbers and not ids: sequence order is not commit order, and a reader of `id > last` loses rows for ever
(1,007 of 2,000 with 8 writers). Here one relay at a time takes committed rows *by state* (no position yet)
and numbers them from a counter ROW under its lock: positions are dense, unique and never reused, whatever
rolls back. A consumer sees a gap by arithmetic and fills it from the events API, so Redis is transport only
and may lose everything.

Within a batch rows are numbered in insertion order (`seq`), not by id: two events of one aggregate are
written under that aggregate's row lock, so `seq` keeps their order even when the clocks of two writers
differ.

Four files: events.py (the value), outbox_tables.py (SQL), relay.py (numbering and publication), and this
front.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from fastapi import APIRouter, Depends, Query, Response

from platform_kit.contract import answer
from platform_kit.events import Event, EventPage
from platform_kit.outbox_tables import (
    OutboxTables,
    append,
    appending,
    envelope_of,
    events_after,
    grant_statements,
    outbox_tables,
    rows_after,
)
from platform_kit.relay import Relay

__all__ = [
    "PAGE_MAX",
    "Event",
    "EventPage",
    "OutboxTables",
    "Relay",
    "append",
    "appending",
    "events_after",
    "events_router",
    "grant_statements",
    "outbox_tables",
]

PAGE_MAX: Final = 1000  # events in one page of the API, about 1.5 MB


def events_router(
    get_engine: Callable[..., Any], tables: OutboxTables, require_internal: Callable[..., Any]
) -> APIRouter:
    """GET /internal/events?after=&limit= for consumers that lost something.

    `get_engine` and `require_internal` are FastAPI dependencies: one gives the AsyncEngine, one refuses
    strangers.
    """
    router = APIRouter(tags=["internal"], dependencies=[Depends(require_internal)])

    @router.get("/internal/events", responses=answer("OutboxPage"))
    async def list_events(
        engine: Any = Depends(get_engine),
        after: int = Query(0, ge=0, lt=2**63),
        limit: int = Query(PAGE_MAX, ge=1, le=PAGE_MAX),
    ) -> Response:
        """Events above a position, in order, and the highest position that exists."""
        async with engine.connect() as conn:
            rows, head = await rows_after(conn, tables, after, limit)
        body = orjson.dumps({"data": [envelope_of(row) for row in rows], "head": head})
        return Response(body, media_type="application/json")

    return router
