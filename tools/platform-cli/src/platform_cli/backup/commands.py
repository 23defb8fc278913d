"""`platform backup` and `platform restore`, of this machine's copy or of a release on Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from platform_cli.backup.cluster import Release
from platform_cli.backup.scripts import BackupFailed
from platform_cli.daily.telling import NOTHING_RUNS, REFUSED, console, errors, say
from platform_cli.stack.state import State
from platform_cli.stack.supervision import NotRunning

InCluster = Annotated[
    bool, typer.Option("--cluster", help="a release on Kubernetes, by kubectl's current context")
]
ReleaseName = Annotated[str, typer.Option("--release", help="with --cluster: the release's name")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="with --cluster")]


def backup(
    to: Annotated[Path | None, typer.Option(help="directory; .platform/backups by default")] = None,
    keep: Annotated[int | None, typer.Option(help="how many stay in it; all by default", min=1)] = None,
    cluster: InCluster = False,
    release: ReleaseName = "platform",
    namespace: Namespace = "default",
) -> None:
    """Back the database up: a dump, its checksums, and the ledger's hashes of the same instant."""
    from platform_cli.backup import local  # here: the stack's libraries take a second to import

    try:
        said = Release(release, namespace).back_up() if cluster else local.back_up(State.default(), to, keep)
    except (BackupFailed, NotRunning) as error:
        raise _told(error) from None
    console.print(said)


def restore(
    backup: Annotated[str | None, typer.Argument(help="name of the backup; the newest without")] = None,
    drill: Annotated[
        bool, typer.Option("--drill", help="restore beside the live database, compare, drop")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    source: Annotated[Path | None, typer.Option("--from", help="directory of the backups")] = None,
    cluster: InCluster = False,
    release: ReleaseName = "platform",
    namespace: Namespace = "default",
) -> None:
    """Restore a backup and compare its ledger; then it takes the live database's place (not with --drill).

    Payments made since the backup are no longer in the database; the old one is kept under another name.
    """
    from platform_cli.backup import local

    state = State.default()
    if not (drill or yes):
        typer.confirm(f"Replace the live database by the backup {backup or '(newest)'}?", abort=True)
    try:
        if cluster:
            there = Release(release, namespace)
            said = there.drill(backup) if drill else there.restore(backup, say)
        elif drill:
            said = local.drill(state, source, backup)
        else:
            said = local.restore(state, source, backup, say)
    except (BackupFailed, NotRunning) as error:
        raise _told(error) from None
    console.print(said)


def _told(error: Exception) -> typer.Exit:
    errors.print(str(error), style="bold red")
    return typer.Exit(NOTHING_RUNS if isinstance(error, NotRunning) else REFUSED)
