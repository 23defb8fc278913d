"""The scripts of the backup chart, run on this machine with the embedded server's own programs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platform_cli.embedded import postgres
from platform_cli.embedded.roles import roles_file

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

DATED = "20[0-9][0-9]-*T*Z"  # the name of a backup, as backup.sh makes it


class BackupFailed(RuntimeError):
    """The script ended with an error; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Database:
    """Where to connect: for a backup as a role that reads everything, for a restore as one that makes databases."""

    url: URL

    @classmethod
    def at(cls, url: str) -> Database:
        from sqlalchemy.engine import make_url  # here: it takes a second to import

        return cls(make_url(url))

    def environment(self) -> dict[str, str]:
        """As libpq reads it."""
        return {
            "PGHOST": self.url.host or "127.0.0.1",
            "PGPORT": str(self.url.port or 5432),
            "PGUSER": self.url.username or postgres.SUPERUSER,
            "PGDATABASE": self.url.database or "platform",
            "PGPASSWORD": str(self.url.password or ""),
        }


def take(database: Database, directory: Path, keep: int | None = None, wait_s: int = 0) -> str:
    """Back the database up into a new directory below `directory`; what the script said. Raises BackupFailed.

    With `wait_s` it waits that long for the server and the tables of every schema.
    """
    directory.mkdir(parents=True, exist_ok=True)
    how = {"BACKUP_KEEP": str(keep)} if keep else {}
    return _run("backup.sh", database, directory, {**how, "WAIT_S": str(wait_s)})


def bring_back(database: Database, directory: Path, name: str | None = None, *, replace: bool = False) -> str:
    """Restore a backup (the newest without `name`) and compare the ledger; with `replace` it becomes the live database.

    Raises BackupFailed; the live database is then as it was.
    """
    how = {"RESTORE_AS": "replace" if replace else "drill", "ROLES_FILE": str(roles_file())}
    return _run("restore.sh", database, directory, how, *([name] if name else []))


def find(directory: Path, name: str | None) -> str:
    """The backup of this name, or the newest. Raises BackupFailed when it is not there."""
    found = name or newest(directory)
    if found is None or not (directory / found / "manifest.json").is_file():
        there = ", ".join(sorted(path.name for path in directory.glob(DATED))[-5:])
        raise BackupFailed(
            f"no backup {found or 'at all'} in {directory}" + (f"; there are {there}" if there else "")
        )
    return found


def newest(directory: Path) -> str | None:
    """The name of the newest backup, or None when there is none."""
    return max((path.name for path in directory.glob(DATED)), default=None)


def _run(script: str, database: Database, directory: Path, more: Mapping[str, str], *args: str) -> str:
    programs = postgres.program_directory(None)
    done = subprocess.run(
        ["/bin/sh", str(scripts() / script), *args],
        env={
            **postgres.environment(),
            "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "BACKUP_DIR": str(directory),
            **database.environment(),
            **more,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BackupFailed((done.stderr or done.stdout).strip())
    return done.stdout.strip()


def scripts() -> Path:
    """The backup chart's files in the clone."""
    return roles_file().parents[2] / "backup" / "files"
