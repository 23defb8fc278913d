"""What operations work with, made once per process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.clients.archive_store import ArchiveStore
from data_pipeline.clients.channel_files import ChannelFiles
from data_pipeline.clients.event_sources import EventSources
from data_pipeline.clients.gateway_ledger import GatewayLedger
from data_pipeline.settings import Settings
from platform_kit.clock import Clock, SystemClock
from platform_kit.db import create_engine


@dataclass(frozen=True, slots=True)
class Deps:
    """The database, the world and the clock."""

    settings: Settings
    engine: AsyncEngine
    sources: EventSources
    files: ChannelFiles
    ledger: GatewayLedger
    archive: ArchiveStore
    clock: Clock


@asynccontextmanager
async def open_deps(settings: Settings) -> AsyncIterator[Deps]:
    """Open everything, close it in the end. Connects to nothing yet."""
    token = settings.internal_token.get_secret_value()
    engine = create_engine(settings, plans_each_time=True)
    sources = EventSources(settings.gateway_url, settings.risk_url, token)
    files = ChannelFiles(settings.channels_url, token)
    ledger = GatewayLedger(settings.gateway_url, token)
    try:
        yield Deps(
            settings, engine, sources, files, ledger, ArchiveStore(settings.archive_url), SystemClock()
        )
    finally:
        await ledger.close()
        await files.close()
        await sources.close()
        await engine.dispose()
