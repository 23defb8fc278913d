"""`platform privacy scrub`: take people out of what releases before sealing told of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Annotated, Any

import asyncpg
import typer
from rich.table import Table

from platform_cli.daily.gateway import NothingRuns
from platform_cli.daily.telling import REFUSED, Json, Unclear, console, errors, print_json, print_table
from platform_cli.privacy.scrub_databases import (
    Payers,
    Scrubbed,
    StillSealing,
    connected,
    missing,
    scrub_postgres,
)
from platform_cli.privacy.scrub_streams import scrub_streams
from platform_cli.stack.backends import choose_backends
from platform_cli.stack.state import State

DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would be cleared, and change nothing")]
Databases = Annotated[
    list[str] | None,
    typer.Option(
        "--database",
        help="as a role that owns the tables; repeat it where services have databases of their own;"
        " SCRUB_DATABASE_URL, with spaces between; this copy's by default",
    ),
]
RedisUrls = Annotated[
    list[str] | None,
    typer.Option("--redis", help="of the streams; SCRUB_REDIS_URL; this copy's by default"),
]
Archive = Annotated[
    str | None, typer.Option("--archive", help="file://… or s3://…; ARCHIVE_URL; none is scrubbed without")
]


def scrub(
    dry_run: DryRun = False,
    database: Databases = None,
    redis: RedisUrls = None,
    archive: Archive = None,
    as_json: Json = False,
) -> None:
    """Take people out of old events: outboxes, streams, event store, quarantine, archive. Begin it again when it was
    stopped. Exit 1 when something is left."""
    databases, servers = _servers(database, redis)
    try:
        places, faults = asyncio.run(
            _scrub(databases, servers, archive or os.environ.get("ARCHIVE_URL"), dry_run)
        )
    except StillSealing as error:
        raise Unclear(str(error)) from None
    _tell(places, faults, dry_run, as_json)
    raise typer.Exit(REFUSED if faults or any(place.kept for place in places) else 0)


async def _scrub(
    databases: Sequence[str], redis: Sequence[tuple[str, str | None]], archive: str | None, dry_run: bool
) -> tuple[list[Scrubbed], list[str]]:
    """The outboxes before all that is filled from them, so the database that knows the payers comes first."""
    places: list[Scrubbed] = []
    faults: list[str] = []
    async with AsyncExitStack() as stack:
        connections = [await connected(url) for url in databases]
        for connection in connections:
            stack.push_async_callback(connection.close)
        payers = await Payers.of(connections)
        for connection in sorted(connections, key=lambda one: one is not payers.connection):
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
        place, damaged = await scrub_archive(manifest, payers, url, dry_run=dry_run, progress=_progress)
    except ArchiveIsBusy as busy:
        faults.append(f"archive: {busy}")
        return
    places.append(place)
    faults += [f"archive: {one}" for one in damaged]
    if waiting := await replaced_files(manifest):
        faults.append(f"archive: {waiting} files that were replaced before are deleted within the hour")


def _servers(
    databases: Sequence[str] | None, redis: Sequence[str] | None
) -> tuple[Sequence[str], Sequence[tuple[str, str | None]]]:
    """Databases, and each Redis with a password that its URL does not have."""
    databases = databases or os.environ.get("SCRUB_DATABASE_URL", "").split()
    redis = redis or os.environ.get("SCRUB_REDIS_URL", "").split()
    if databases:  # elsewhere are other streams, too
        return databases, [(url, None) for url in redis]
    state = State.default()
    if not state.known_ports():
        raise NothingRuns("Nothing runs here: `make up`, or name --database and --redis.")
    own = choose_backends(state, state.known_ports())
    servers: Sequence[tuple[str, str | None]] = [(url, None) for url in redis]
    return [own.admin_url], servers or [(own.redis_url, own.redis_password)]


def _progress(place: Scrubbed, reached: int, last: int) -> None:
    errors.print(f"{place.place}: {reached:,} of {last:,}, {place.cleared:,} cleared", style="dim")


def _tell(places: Sequence[Scrubbed], faults: Sequence[str], dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({"dry_run": dry_run, "places": [asdict(one) for one in places], "left": faults})
        return
    table = Table("place", "read", "would clear" if dry_run else "cleared", "left", box=None)
    for one in places:
        table.add_row(one.place, f"{one.read:,}", f"{one.cleared:,}", f"{one.kept:,}" if one.kept else "")
    print_table(table, "no events are kept here")
    for fault in faults:
        console.print(f"left: {fault}", soft_wrap=True)
