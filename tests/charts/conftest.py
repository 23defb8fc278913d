"""Charts rendered to dicts by the real Helm. Profiles: `default` (laptop), `loadgen` (load from inside), `production`,
and all options in each mesh."""

from __future__ import annotations

import copy
import os
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

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML has it

Object = dict[str, Any]

APIS = (
    "external-secrets.io/v1",
    "gateway.networking.k8s.io/v1",
    "keda.sh/v1alpha1",
    "monitoring.coreos.com/v1",
    "networking.istio.io/v1",
    "policy.linkerd.io/v1alpha1",
    "security.istio.io/v1",
)
HAS_ALL = tuple(f"--api-versions={api}" for api in APIS)
"""A cluster in which every operator is installed that an option needs."""
OPTIONS = (
    *HAS_ALL,
    "--set=global.keda.enabled=true,global.priority.create=true,global.secrets.mode=external",
    "--set=global.secrets.external.store=vault",
    "--set=global.monitoring.rules=true,global.monitoring.serviceMonitors=true,global.monitoring.dashboards=true",
    "--set=payment-gateway.route.enabled=true,payment-gateway.route.gateway.name=public",
    "--set=data-pipeline.route.enabled=true,data-pipeline.route.gateway.name=internal",
    "--set=payment-gateway.canary.enabled=true,payment-gateway.canary.version=v2",
    "--set=risk-engine.canary.enabled=true,risk-engine.canary.version=v2",
)

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
        f"--set=global.database.digest=sha256:{DIGEST}",
        f"--set=backup.target.s3.image.digest=sha256:{DIGEST}",
        *HAS_ALL,
    ),
    **{
        mesh: (*OPTIONS, f"--set=global.mesh={mesh}")
        for mesh in ("linkerd", "istio-ambient", "istio-sidecar")
    },
}


@dataclass(frozen=True)
class Helm:
    """The program. `template` gives the objects, `refusal` the error text of a render that must fail."""

    program: str

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.program, *args], capture_output=True, text=True, check=False, timeout=60)

    def template(self, *args: str, chart: Path = UMBRELLA, release: str = "platform") -> list[Object]:
        if chart == UMBRELLA and not any(arg.startswith(("--values", "-f")) for arg in args):
            return copy.deepcopy(
                self._once(*args, release=release)
            )  # the same render is asked for by many tests
        return self._rendered(*args, chart=chart, release=release)

    @cache  # noqa: B019 - one Helm for the session
    def _once(self, *args: str, release: str) -> list[Object]:
        return self._rendered(*args, chart=UMBRELLA, release=release)

    def _rendered(self, *args: str, chart: Path, release: str) -> list[Object]:
        done = self.run("template", release, str(chart), *args)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.load_all(done.stdout, Loader=LOADER) if document]

    def refusal(self, *args: str, chart: Path = UMBRELLA) -> str:
        done = self.run("template", "platform", str(chart), *args)
        assert done.returncode != 0, "this render should have been refused"
        return done.stderr


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm 4, or with HELM=3 in the environment Helm 3 (`make charts-helm3`)."""
    return found_helm(os.environ.get("HELM", "4"))


def found_helm(major: str) -> Helm:
    """Skips, aloud, where that Helm cannot be had."""
    command = [sys.executable, ROOT / "tools" / "kind" / "fetch_helm.py", major]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    if found.returncode != 0:
        pytest.skip(f"CHARTS NOT TESTED WITH HELM {major}: {found.stderr.strip()}")
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
