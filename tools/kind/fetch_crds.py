#!/usr/bin/env python3
"""The schemas of other people's Kubernetes kinds, for the chart tests: prints the folder that holds them.

They come inside Go modules. Each is downloaded once at its pinned version with `go mod download`, held to its hash,
and only the files with the schemas are kept, in .platform/tools. Exit 1 with the reason when that is not possible;
nothing of it is committed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """A Go module, the `h1:` hash of its files as in a go.sum, and the files with the schemas."""

    path: str
    version: str
    sum: str
    files: str


MODULES = (
    Module(
        "istio.io/api",
        "v1.32.0",
        "h1:37mJvg9I0biYZAEQF+MATs4FNeCpXEIVO3LFpVb6iNM=",
        "kubernetes/customresourcedefinitions.gen.yaml",
    ),
    Module(
        "sigs.k8s.io/gateway-api",
        "v1.4.1",
        "h1:NPxFutNkKNa8UfLd2CMlEuhIPMQgDQ6DXNKG9sHbJU8=",
        "config/crd/standard/*.yaml",
    ),
    Module(
        "github.com/kedacore/keda/v2",
        "v2.21.0",
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        "config/crd/bases/keda.sh_*.yaml",
    ),
    Module(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd/*.yaml",
    ),
    Module(
        "github.com/external-secrets/external-secrets",
        "v1.3.2",
        "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
        "config/crds/bases/external-secrets.io_*.yaml",
    ),
)


def main() -> int:
    kept = ROOT / ".platform" / "tools" / "crds"
    missing = [module for module in MODULES if not place(kept, module).is_dir()]
    if missing and not shutil.which("go"):
        return refuse("no `go` on PATH: it downloads the modules that carry the schemas (https://go.dev/dl)")
    for module in missing:
        with tempfile.TemporaryDirectory() as scratch:
            error = fetch(module, place(kept, module), scratch)
        if error:
            return refuse(f"{module.path}@{module.version}: {error}")
    print(kept)
    return 0


def place(kept: Path, module: Module) -> Path:
    return kept / f"{module.path.replace('/', '-')}-{module.version}"


def fetch(module: Module, into: Path, scratch: str) -> str:
    """Why it could not be had; empty when it is there. The folder appears whole or not at all."""
    environment = os.environ | {"GOMODCACHE": f"{scratch}/cache", "GOFLAGS": "-modcacherw", "GOWORK": "off"}
    command = ["go", "mod", "download", "-json", f"{module.path}@{module.version}"]
    done = subprocess.run(
        command, cwd=scratch, env=environment, capture_output=True, text=True, check=False, timeout=150
    )
    if done.returncode != 0:
        return (done.stderr or done.stdout).strip()[-400:]
    found = json.loads(done.stdout)
    if found["Sum"] != module.sum:
        return f"its hash is {found['Sum']}, not {module.sum}"
    half = Path(f"{into}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    for file in Path(found["Dir"]).glob(module.files):
        shutil.copyfile(file, half / file.name)
    if not any(half.iterdir()):
        return f"it has no {module.files}"
    half.rename(into)
    return ""


def refuse(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
