"""supervisord runs the processes: restarts what dies, waits longer after each failed start, keeps the logs.

Its configuration is written anew at each `up`; it is spoken to over its own XML-RPC on a private Unix socket.
Why supervisord: docs/adr/0040-supervisor.md.
"""

import contextlib
import os
import re
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from platform_cli.stack.state import State, write_private

START_RETRIES = 20  # the waits grow by a second each: 3.5 minutes until it is given up and shown as FATAL
STOP_WAIT_S = 20  # a request in flight may take that long; then SIGKILL
LOG_BYTES_MAX = 20_000_000
MARK = "PLATFORM_STATE_MARK"  # in the environment of all that we start: how strays are found


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process. Programs of a group stop together instead of one after the other."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    order: int  # lower starts earlier and stops later
    is_started_at_once: bool = False
    stop_signal: str = "TERM"
    account: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What the supervisor knows of a process. `state`: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL."""

    name: str
    state: str
    pid: int
    since: int
    restarts: int


class NotRunning(RuntimeError):
    """No supervisor answers in this state directory."""


def start(state: State, programs: Sequence[Program]) -> None:
    """Start supervisord in the background; programs with `is_started_at_once` start with it."""
    configuration = state.run / "supervisord.conf"
    write_private(configuration, render(state, programs))
    with contextlib.suppress(FileNotFoundError):
        (state.run / "supervisord.log").unlink()  # restarts are counted from it, since this start
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    started = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(configuration)],
        env={**inherited, MARK: state.tag, "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"},
        check=False,
        capture_output=True,
        text=True,
        cwd=state.root,  # log files are named relative to it: supervisord expands them twice
    )
    if started.returncode:
        raise RuntimeError(f"supervisord did not start: {started.stderr or started.stdout}")


def render(state: State, programs: Sequence[Program]) -> str:
    """supervisord.conf. A percent sign starts an expansion in it, so it is doubled."""
    own_account = "\nuser=root" if os.geteuid() == 0 else ""  # said on purpose, else it warns
    head = f"""[supervisord]
logfile={_escape(state.run / "supervisord.log")}
logfile_maxbytes=0
pidfile={_escape(state.run / "supervisord.pid")}
umask=077
silent=true{own_account}

[unix_http_server]
file={_escape(state.socket)}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    return head + "".join(_section(program) for program in programs) + _groups(programs)


def _groups(programs: Sequence[Program]) -> str:
    names = sorted({program.group for program in programs if program.group})
    members = {name: ",".join(p.name for p in programs if p.group == name) for name in names}
    return "".join(f"\n[group:{name}]\nprograms={members[name]}\npriority=100\n" for name in names)


def _section(program: Program) -> str:
    environment = ",".join(
        f'{name}="{_escape(value)}"' for name, value in sorted(program.environment.items())
    )
    account = f"\nuser={program.account}" if program.account else ""
    command = " ".join(f'"{_escape(part)}"' for part in program.argv)
    return f"""
[program:{program.name}]
command={command}
environment={environment}
priority={program.order}
autostart={str(program.is_started_at_once).lower()}
autorestart=true
startsecs=1
startretries={START_RETRIES}
stopsignal={program.stop_signal}
stopwaitsecs={STOP_WAIT_S}
killasgroup=true
redirect_stderr=true
stdout_logfile=logs/{program.name}.log
stdout_logfile_maxbytes={LOG_BYTES_MAX}
stdout_logfile_backups=1
directory=/{account}
"""


def _escape(value: str | Path) -> str:
    value = str(value)
    if '"' in value or "\n" in value:
        raise ValueError(f"a quote or a line break cannot stand in supervisord's configuration: {value!r}")
    return value.replace("%", "%%")


def client(state: State) -> Any:
    """The supervisor's XML-RPC interface. Raises NotRunning."""
    transport = SupervisorTransport(None, None, serverurl=f"unix://{state.socket}")
    server = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
    try:
        server.supervisor.getState()
    except (OSError, xmlrpc.client.Error) as error:
        raise NotRunning(f"nothing runs in {state.root}") from error
    return server.supervisor


def is_running(state: State) -> bool:
    try:
        client(state)
    except NotRunning:
        return False
    return True


def statuses(state: State) -> list[Status]:
    """All programs in the order of their start. Raises NotRunning."""
    supervisor = client(state)
    log = state.run / "supervisord.log"
    spawned = re.findall(r"spawned: '([\w-]+)'", log.read_text(errors="replace"))
    return [
        Status(
            info["name"],
            info["statename"],
            info["pid"],
            info["start"],
            max(spawned.count(info["name"]) - 1, 0),
        )
        for info in supervisor.getAllProcessInfo()
    ]


def start_program(state: State, name: str, group: str) -> None:
    """Start a program that was not started with the supervisor; returns at once."""
    client(state).startProcess(f"{group}:{name}", False)


def stop(state: State) -> None:
    """Stop every program in reverse order, then the supervisor, then what escaped an earlier crash of it."""
    with contextlib.suppress(NotRunning):
        supervisor = client(state)
        pid = supervisor.getPID()
        supervisor.shutdown()
        _wait_for_end(pid)
    stop_strays(state)
    if state.socket.exists():
        state.socket.unlink()


def _wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + STOP_WAIT_S + 30
    while time.monotonic() < deadline and psutil.pid_exists(pid):
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)


def stop_strays(state: State) -> list[int]:
    """End processes of this state directory that no supervisor watches any more (it was killed itself)."""
    strays = [process for process in psutil.process_iter() if _is_marked(process, state.tag)]
    for process in strays:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(strays, timeout=5)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return [process.pid for process in strays]


def _is_marked(process: psutil.Process, tag: str) -> bool:
    try:
        return process.environ().get(MARK) == tag
    except (psutil.Error, OSError):
        return False
