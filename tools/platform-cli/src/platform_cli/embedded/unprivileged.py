"""Who runs the Postgres server, and where it may live.

PostgreSQL refuses to run as root. Then the server runs as `nobody`, which has to be able to reach both its
programs and its data: a clone below /root or in a 0700 directory is not reachable, so places are tested by
their mode bits and never opened up by chmod on directories that are not ours.
"""

import os
import pwd
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The unprivileged account of the server; only root needs one."""

    name: str
    uid: int
    gid: int


def server_user() -> ServerUser | None:
    """`nobody` for root, None for everyone else (they run the server themselves)."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")  # on every Linux and macOS, unlike `postgres`
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def is_reachable(path: Path, user: ServerUser | None) -> bool:
    """True when `user` may traverse every existing directory down to `path`."""
    if user is None:
        return True
    path = path.resolve()
    existing = [place for place in (path, *path.parents) if place.is_dir()]
    return all(place.stat().st_mode & stat.S_IXOTH for place in existing)


def temporary_root(user: ServerUser | None) -> Path:
    """The first temporary directory that we may write and `user` may reach."""
    for place in (Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/tmp")):  # noqa: S108 - mkdtemp below
        if os.access(place, os.W_OK | os.X_OK) and is_reachable(place, user):
            return place
    raise RuntimeError("no temporary directory is both writable and reachable for the Postgres server")


def own_directory(path: Path, user: ServerUser | None) -> Path:
    """Make `path` if needed, private to the server's account."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    if user is not None:
        os.chown(path, user.uid, user.gid)
    return path
