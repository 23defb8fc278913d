"""Processes that we started: free ports, start, readiness, stop; and the ones that a crash left behind.

A process is known by pid *and* creation time, so a recycled pid is never mistaken for ours.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from platform_cli.embedded.unprivileged import ServerUser, temporary_root

START_TIMEOUT_S = 30.0  # initdb and first start take 1 s; a busy CI machine gets plenty
POLL_S = 0.05
RECORD = "processes.json"
SERVER_PORTS = (10_240, 32_000)  # client ports begin at 32768 on Linux, 49152 on macOS


class ServerDidNotStart(RuntimeError):
    """The server program ended or stayed silent; the message carries the end of its log."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server program that we started; `url` is how to reach it as its superuser."""

    name: str
    process: subprocess.Popen[bytes]  # ours to wait for
    port: int
    url: str
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self, how: signal.Signals) -> None:
        """End it and collect its exit status."""
        stop(self.pid, how)
        self.process.wait(5)


def free_port() -> int:
    """A loopback TCP port that was free a moment ago, below the range that the system hands out to clients.

    From that range a client that keeps dialling a dead server is in time given the server's own port and
    connects to itself, and the server can never come back. Drawn from the system: tests that run side by side
    begin with the same seed, and would want the same port.
    """
    drawn = random.SystemRandom()
    for _ in range(1000):
        port = drawn.randrange(*SERVER_PORTS)
        if is_free(port):
            return port
    raise OSError(f"no free port in {SERVER_PORTS}")


def is_free(port: int) -> bool:
    """True when nothing listens on the port, on loopback or on all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def launch(
    argv: Sequence[str], log: Path, env: Mapping[str, str], user: ServerUser | None
) -> subprocess.Popen[bytes]:
    """Start a server program in its own session, so that Ctrl-C at our terminal does not reach it."""
    with log.open("ab") as sink:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env=dict(env),
            cwd="/",
            start_new_session=True,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
        )


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once `ready()`; raise ServerDidNotStart with the log's end otherwise."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if ready():
            return
        time.sleep(POLL_S)
    process.kill()
    process.wait()
    tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
    raise ServerDidNotStart(f"{log.name}: exit {process.returncode}\n{tail}")


def stop(pid: int, how: signal.Signals, timeout_s: float = 15.0) -> None:
    """End one process by pid: `how` first, SIGKILL when it does not listen."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        process.send_signal(how)
        if not _has_ended(process, timeout_s):
            process.kill()
            _has_ended(process, 5)


def _has_ended(process: psutil.Process, timeout_s: float) -> bool:
    """Wait for the end; a zombie has ended, too (its parent collects it in its own time)."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(POLL_S)
    return False


def make_directory(prefix: str, user: ServerUser | None) -> Path:
    """A new directory that is recorded as this process' own, where `user` reaches its data and sees nothing else."""
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=temporary_root(user)))
    directory.chmod(0o711)
    record(directory, [])
    return directory


def record(directory: Path, pids: Sequence[int]) -> None:
    """Write down who owns `directory` (this process) and which servers it started."""
    processes = {str(pid): psutil.Process(pid).create_time() for pid in (os.getpid(), *pids)}
    (directory / RECORD).write_text(json.dumps({"owner": os.getpid(), "processes": processes}))


def remove_stale(prefix: str, user: ServerUser | None) -> list[Path]:
    """Stop servers whose owner died without cleaning up, and remove their directories.

    Only directories of this account with our prefix and our record are touched.
    """
    removed = []
    for directory in temporary_root(user).glob(f"{prefix}*"):
        if not is_abandoned(directory):
            continue
        known = json.loads((directory / RECORD).read_text())
        for pid in known["processes"]:
            if _is_same(int(pid), known["processes"]):
                stop(int(pid), signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)
        removed.append(directory)
    return removed


def is_abandoned(directory: Path) -> bool:
    """True when the directory is ours and the process that recorded itself as its owner has ended."""
    try:
        if directory.stat().st_uid != os.geteuid():
            return False
        known = json.loads((directory / RECORD).read_text())
    except (OSError, ValueError):
        return False
    return not _is_same(known["owner"], known["processes"])


def _is_same(pid: int, processes: Mapping[str, float]) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - processes[str(pid)]) < 1.0
    except psutil.NoSuchProcess:
        return False
