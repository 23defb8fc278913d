"""Charts rendered to dicts by the real Helm: `default` (laptop, kind), `production`, `loadgen` (load from inside)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
UMBRELLA = ROOT / "umbrella-chart"
SERVICES = ("payment-gateway", "risk-engine", "data-pipeline")
DIGEST = "0123456789abcdef" * 4

Object = dict[str, Any]

PROFILES: dict[str, tuple[str, ...]] = {
    "default": (),
    "loadgen": (
        "--set",
        "loadgen.enabled=true,loadgen.webhooks=true,payment-gateway.config.WEBHOOK_ALLOW_PRIVATE=true",
    ),
    # Production pins its images; the sample digest stands for the one that a pipeline would fill in.
    "production": (
        "--values",
        str(UMBRELLA / "values-production.yaml"),
        *(
            f"--set={service}.app.digest.{key}={value}"
            for service in SERVICES
            for key, value in (("version", "v1"), ("sha256", DIGEST))
        ),
    ),
}


@dataclass(frozen=True)
class Helm:
    """The program. `template` gives the objects, `refusal` the error text of a render that must fail."""

    program: str

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.program, *args], capture_output=True, text=True, check=False, timeout=60)

    def template(self, *args: str, chart: Path = UMBRELLA, release: str = "platform") -> list[Object]:
        done = self.run("template", release, str(chart), *args)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    def refusal(self, *args: str, chart: Path = UMBRELLA) -> str:
        done = self.run("template", "platform", str(chart), *args)
        assert done.returncode != 0, "this render should have been refused"
        return done.stderr


@pytest.fixture(scope="session")
def helm() -> Helm:
    finder = ROOT / "tools" / "kind" / "fetch_helm.py"
    found = subprocess.run([sys.executable, finder], capture_output=True, text=True, check=False, timeout=170)
    if found.returncode != 0:
        pytest.skip(f"CHARTS NOT TESTED: {found.stderr.strip()}")
    return Helm(found.stdout.strip())


@pytest.fixture(scope="session", params=PROFILES)
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def objects(helm: Helm, profile: str) -> list[Object]:
    """Everything that the profile renders, rendered once."""
    return _rendered(helm, profile)


@cache
def _rendered(helm: Helm, profile: str) -> list[Object]:
    return helm.template(*PROFILES[profile])


@pytest.fixture
def umbrella_copy(tmp_path: Path) -> Path:
    """A copy of the umbrella chart that a test may change."""
    copy = tmp_path / "umbrella-chart"
    shutil.copytree(UMBRELLA, copy, symlinks=True)
    return copy
