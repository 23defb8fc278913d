"""Note when a service answers as another version, for the marks of charts (ADR 188)."""

from __future__ import annotations

import asyncio

from data_pipeline.clients.service_api import Door
from data_pipeline.domain.versions import is_change
from data_pipeline.operations.deps import Deps
from data_pipeline.settings import SERVICE
from data_pipeline.store import versions as version_store
from platform_kit.logging import get_logger

VERSION_MAX = 100

log = get_logger(__name__)


async def note_versions(deps: Deps) -> list[str]:
    """The services that changed. One that does not answer has not changed."""
    doors = [
        *await asyncio.gather(deps.gateway.door(), deps.risk.door()),
        Door(SERVICE, deps.settings.app_version, {}),
    ]
    answered = [(door.service, str(door.version)[:VERSION_MAX]) for door in doors if door.version]
    now, changed = deps.clock.now(), []
    async with deps.engine.begin() as conn:
        await version_store.lock(conn)
        known = await version_store.last_two(conn)
        for service, version in answered:
            if is_change(known.get(service, []), version, now):
                await version_store.note(conn, service, version, now)
                changed.append(service)
                log.info("version changed", of=service, version=version)
    return changed
