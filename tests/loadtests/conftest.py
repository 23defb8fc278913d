"""A toy gateway in a process of its own, and whole runs of the load tests against it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from platform_cli.embedded.running import free_port

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Run:
    """A run of `python -m loadtests` that is over."""

    code: int
    summary: dict[str, Any]
    directory: Path
    said: str


@pytest.fixture
def toy() -> Iterator[Callable[..., str]]:
    """Starts a toy gateway with the given harm; returns its URL."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**harm: Any) -> str:
        port = free_port()
        command = [sys.executable, str(ROOT / "tests/loadtests/toy_gateway.py"), str(port), json.dumps(harm)]
        started.append(subprocess.Popen(command, cwd=ROOT))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"http://127.0.0.1:{port}"
            time.sleep(0.05)
        raise RuntimeError("the toy gateway did not start")

    yield start
    for process in started:
        process.kill()  # it may be in the middle of a planted hang
        process.wait(10)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Run]:
    """Runs a profile, given as data, against a URL as a user would; objectives are loose unless given."""

    def run(url: str, *options: str, slo: dict[str, Any] | None = None, **profile: Any) -> Run:
        whole = {"about": "a test", "mix": {"pay": 1}, "timeout_s": 3} | profile
        file, objectives = tmp_path / "test.yaml", tmp_path / "slo.yaml"
        file.write_text(yaml.safe_dump(whole), encoding="utf-8")
        objectives.write_text(yaml.safe_dump({"every": slo or {"all": {"p99_ms": 60000}}}), encoding="utf-8")
        directory = tmp_path / f"run-{time.monotonic_ns()}"
        command = [sys.executable, "-m", "loadtests", "run", str(file), "--url", url, "--out", str(directory)]
        done = subprocess.run(
            [*command, "--slo", str(objectives), *options],
            cwd=ROOT,
            env={**os.environ, "DEMO_API_KEY": "sk_test_toy", "WEBHOOK_HOST": "none", "GATEWAY_URL": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        written = directory / "summary.json"
        summary = json.loads(written.read_text()) if written.exists() else {}
        return Run(done.returncode, summary, directory, done.stdout + done.stderr)

    return run


@pytest.fixture
def worker() -> Iterator[Callable[[int], subprocess.Popen[bytes]]]:
    """Starts a generator that connects to the master at this port."""
    started: list[subprocess.Popen[bytes]] = []

    def start(port: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "loadtests.generator", "--master", "127.0.0.1", "--port", str(port)]
        started.append(
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(10)
