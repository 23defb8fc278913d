"""Ports that copies of the platform agree on: two that start at the same moment must not choose the same one.

A port is free for seconds between the choice and the server's listen, and again whenever its server was killed. So
each choice leaves a note in the temporary directory; it counts while it is young or its copy runs.
"""

import os
import tempfile
import time
from collections.abc import Collection, Iterable
from pathlib import Path

import psutil

from platform_cli.embedded.running import free_port, is_free

YOUNG_S = 120.0  # as long as `up` may take


def choose_port(root: Path, wanted: Iterable[int], taken: Collection[int] = ()) -> int:
    """The first of `wanted` that is free and nobody's, else any such port, none of `taken`; noted for `root`."""
    for port in wanted:
        if port not in taken and is_free(port) and _note(port, root):
            return port
    while (port := free_port()) in taken or not _note(port, root):
        continue
    return port


def _note(port: int, root: Path) -> bool:
    """Write the note; False when another copy has it."""
    note = _notes() / str(port)
    try:
        with note.open("x") as fresh:
            fresh.write(str(root))
    except FileExistsError:
        holder = _holder(note)
        if holder not in (root, None):
            return False
        note.write_text(str(root))
    return True


def _holder(note: Path) -> Path | None:
    """The state directory that the port belongs to, None when the note has lapsed."""
    try:
        root, age_s = Path(note.read_text()), time.time() - note.stat().st_mtime
        supervisor = root / "run" / "supervisord.pid"
        is_running = supervisor.exists() and psutil.pid_exists(int(supervisor.read_text()))
    except (OSError, ValueError):
        return None
    return root if is_running or age_s < YOUNG_S else None


def _notes() -> Path:
    place = Path(tempfile.gettempdir()) / f"platform-ports-{os.geteuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    return place
