"""`platform privacy scrub`: take people out of what releases before sealing told of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from platform_cli.daily.gateway import NothingRuns
from platform_cli.daily.telling import REFUSED, Json, Unclear, console, print_json, print_table
from platform_cli.stack.backends import choose_backends
from platform_cli.stack.state import State

if TYPE_CHECKING:
    from platform_cli.privacy.scrub_databases import Scrubbed

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
    from platform_cli.privacy.scrub_databases import StillSealing  # here: the clients take a second to import
    from platform_cli.privacy.scrub_places import scrub_places

    databases, servers = _servers(database, redis)
    try:
        places, faults = asyncio.run(
            scrub_places(databases, servers, archive or os.environ.get("ARCHIVE_URL"), dry_run)
        )
    except StillSealing as error:
        raise Unclear(str(error)) from None
    _tell(places, faults, dry_run, as_json)
    raise typer.Exit(REFUSED if faults or any(place.kept for place in places) else 0)


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
