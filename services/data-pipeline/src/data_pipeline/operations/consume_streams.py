"""The consumer process: both streams, each with its own cursor and lease, and the watch over their heads."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from redis.asyncio import Redis
from sqlalchemy.exc import SQLAlchemyError

from data_pipeline.clients.event_sources import PAYMENTS, STREAMS
from data_pipeline.operations.complete_rollups import complete_rollups
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.ingest_events import ingest_into, set_aside_from
from data_pipeline.operations.watch_heads import watch_heads
from data_pipeline.settings import CONSUMER
from data_pipeline.store.tables import cursor
from platform_kit.logging import get_logger
from platform_kit.process import sleep_unless
from platform_kit.streams import StreamConsumer

GATHER_S: Final = 0.1
"""Pages are fresh to the second. At 500 events a second a batch has 50 events instead of 5 (ADR 182)."""

log = get_logger(__name__)


async def consume_streams(deps: Deps, redis: Redis, stop: asyncio.Event) -> None:
    """Run until `stop`. A failure that is not waited out inside ends the process: its supervisor restarts it."""
    async with asyncio.TaskGroup() as tasks:
        for stream in STREAMS:
            tasks.create_task(stream_consumer(deps, redis, stream).run(stop))
        tasks.create_task(_keep_watch(deps, stop))


def stream_consumer(deps: Deps, redis: Redis, stream: str) -> StreamConsumer:
    """The consumer of one stream."""
    return StreamConsumer(
        deps.engine,
        redis,
        stream,
        CONSUMER,
        cursor,
        ingest_into(stream, deps.clock),
        deps.sources.fetch[stream],
        quarantine=set_aside_from(stream),
        prepare=partial(complete_rollups, deps) if stream == PAYMENTS else None,
        gather_s=GATHER_S,
    )


async def _keep_watch(deps: Deps, stop: asyncio.Event) -> None:
    while not await sleep_unless(stop, deps.settings.head_check_every_s):
        try:
            await watch_heads(deps)
        except (SQLAlchemyError, OSError) as error:
            log.warning("heads not noted", error=repr(error))
