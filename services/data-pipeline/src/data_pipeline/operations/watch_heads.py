"""Ask each producer where its stream ends and note it: "as of" on the console means equal to this."""

from __future__ import annotations

from data_pipeline.clients.event_sources import STREAMS
from data_pipeline.operations.deps import Deps
from data_pipeline.store import positions


async def watch_heads(deps: Deps) -> dict[str, int]:
    """The heads that could be had, noted; a producer that is away leaves its old note."""
    heads: dict[str, int] = {}
    for stream in STREAMS:
        head = await deps.sources.head(stream)
        if head is None:
            continue
        heads[stream] = head
        async with deps.engine.begin() as conn:
            await positions.note_head(conn, stream, head, deps.clock.now())
    return heads
