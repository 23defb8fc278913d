"""The backups of the database, where a process can see them: one directory each, named by its time. Only looked at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

NAMED: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}Z")
"""As `backup.sh` calls what is whole; what it is still making begins with a dot."""


@dataclass(frozen=True, slots=True)
class Backups:
    """How many there are, the newest one's name, when it was begun, and the bytes of its dump; None without any."""

    count: int
    newest: str | None = None
    made_at: datetime | None = None
    size: int | None = None


def backups_in(directory: Path) -> Backups:
    """A directory that is not there has none."""
    try:
        found = sorted(one.name for one in directory.iterdir() if NAMED.fullmatch(one.name) and one.is_dir())
        if not found:
            return Backups(0)
        dump = directory / found[-1] / "platform.dump"
        size = dump.stat().st_size if dump.is_file() else None
    except OSError:
        return Backups(0)
    made_at = datetime.strptime(found[-1], "%Y-%m-%dT%H%M%SZ").replace(tzinfo=UTC)
    return Backups(len(found), found[-1], made_at, size)
