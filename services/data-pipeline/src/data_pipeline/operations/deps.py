"""What operations work with, made once per process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.clients.archive_store import ArchiveStore
from data_pipeline.clients.channel_files import ChannelFiles
from data_pipeline.clients.event_sources import EventSources
from data_pipeline.clients.gateway_ledger import GatewayLedger
from data_pipeline.clients.ledger_corrections import LedgerCorrections
from data_pipeline.clients.object_store import ObjectStore
from data_pipeline.clients.service_api import ServiceApi
from data_pipeline.clients.snapshot_store import SnapshotStore
from data_pipeline.domain.terms import ChannelTerms, read_terms
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
    corrections: LedgerCorrections
    terms: Mapping[str, ChannelTerms]
    """Channel -> what was agreed with it."""
    clock: Clock
    gateway: ServiceApi
    risk: ServiceApi
    ledger: GatewayLedger
    archive: ArchiveStore

    @property
    def snapshots(self) -> SnapshotStore:
        """Where the snapshot of the facts is kept. Holds no connection."""
        return SnapshotStore(self.settings.facts_url)

    @property
    def exports(self) -> ObjectStore:
        """Where exported files are kept. Holds no connection."""
        return ObjectStore(self.settings.exports_url)


def load_terms(settings: Settings) -> dict[str, ChannelTerms]:
    """Channel -> what was agreed with it. Raises BadTerms or OSError: the process does not start."""
    own = Path(settings.channel_terms_file) if settings.channel_terms_file else None
    return read_terms((own or files("data_pipeline") / "channel_terms.toml").read_text())


@asynccontextmanager
async def open_deps(settings: Settings) -> AsyncIterator[Deps]:
    """Open everything, close it in the end. Connects to nothing yet."""
    token = settings.internal_token.get_secret_value()
    engine = create_engine(settings, plans_each_time=True)
    sources = EventSources(settings.gateway_url, settings.risk_url, token)
    channel_files = ChannelFiles(settings.channels_url, token)
    corrections = LedgerCorrections(settings.gateway_url, token)
    gateway = ServiceApi("gateway", settings.gateway_url, token)
    risk = ServiceApi("risk", settings.risk_url, token)
    ledger, archive = GatewayLedger(settings.gateway_url, token), ArchiveStore(settings.archive_url)
    terms, clock = load_terms(settings), SystemClock()
    try:
        yield Deps(
            settings,
            engine,
            sources,
            channel_files,
            corrections,
            terms,
            clock,
            gateway,
            risk,
            ledger,
            archive,
        )
    finally:
        await ledger.close()
        await risk.close()
        await gateway.close()
        await corrections.close()
        await channel_files.close()
        await sources.close()
        await engine.dispose()
