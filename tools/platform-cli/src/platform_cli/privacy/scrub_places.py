"""Every place that old events went to, scrubbed of people in the order in which one is filled from another."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import asyncpg

from platform_cli.daily.telling import errors
from platform_cli.privacy.scrub_databases import (
    Payers,
    Scrubbed,
    connected,
    in_order,
    missing,
    scrub_postgres,
)
from platform_cli.privacy.scrub_streams import scrub_streams


async def scrub_places(
    databases: Sequence[str], redis: Sequence[tuple[str, str | None]], archive: str | None, dry_run: bool
) -> tuple[list[Scrubbed], list[str]]:
    """What each place held, and what is left or was not named.

    The outboxes before all that is filled from them. A Redis has a password beside its URL, where that has none. Raises
    StillSealing.
    """
    places: list[Scrubbed] = []
    faults: list[str] = []
    async with AsyncExitStack() as stack:
        connections = [await connected(url) for url in databases]
        for connection in connections:
            stack.push_async_callback(connection.close)
        payers = await Payers.of(connections)
        for connection in await in_order(connections):
            places += await scrub_postgres(connection, payers, dry_run=dry_run, progress=_progress)
        faults += [f"{table}: in no database that was named" for table in await missing(connections)]
        if not redis:
            faults.append("streams: no Redis was named")
        for url, password in redis:
            places += await scrub_streams(url, password, dry_run=dry_run)
        if archive:
            await _scrub_archive(connections, payers, archive, dry_run, places, faults)
        else:
            faults.append("archive: none was named")
    return places, faults


async def _scrub_archive(
    connections: Sequence[asyncpg.Connection[Any]],
    payers: Payers,
    url: str,
    dry_run: bool,
    places: list[Scrubbed],
    faults: list[str],
) -> None:
    from platform_cli.privacy.scrub_archive import (  # here: pyarrow takes a second to import
        ArchiveIsBusy,
        manifest_in,
        replaced_files,
        scrub_archive,
    )

    manifest = await manifest_in(connections)
    if manifest is None:
        faults.append("archive: no database with its manifest was named")
        return
    try:
        done, damaged = await scrub_archive(manifest, payers, url, dry_run=dry_run, progress=_progress)
    except ArchiveIsBusy as busy:
        faults.append(f"archive: {busy}")
        return
    places += done
    faults += [f"archive: {one}" for one in damaged]
    if waiting := await replaced_files(manifest):
        faults.append(f"archive: {waiting} files that were replaced before are deleted within the hour")


def _progress(place: Scrubbed, reached: int, last: int) -> None:
    errors.print(f"{place.place}: {reached:,} of {last:,}, {place.cleared:,} cleared", style="dim")
