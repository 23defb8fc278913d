#!/usr/bin/env python3
"""promtool for the tests of the alerts, where none is installed: prints the path of a program that runs.

PATH first. Else the one from Debian's package `prometheus`, unpacked (not installed: no server starts) into
.platform/tools. apt holds it to the archive's signature. Exit 1 with the reason when neither is possible.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    installed = shutil.which("promtool")
    kept = ROOT / ".platform" / "tools" / "promtool"
    if installed or kept.exists():
        print(installed or kept)
        return 0
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return refuse("no promtool on PATH, and this is no Debian whose package has one")
    with tempfile.TemporaryDirectory() as scratch:
        for command in (
            ["apt-get", "download", "--quiet", "prometheus"],
            ["dpkg-deb", "--extract", "", "package"],
        ):
            if command[0] == "dpkg-deb":
                command[2] = str(next(Path(scratch).glob("prometheus_*.deb")))
            done = subprocess.run(
                command, cwd=scratch, capture_output=True, text=True, check=False, timeout=150
            )
            if done.returncode != 0:
                return refuse(
                    f"no promtool on PATH, and {' '.join(command[:2])} failed: {done.stderr.strip()[-300:]}"
                )
        kept.parent.mkdir(parents=True, exist_ok=True)
        half = kept.with_suffix(".half")
        shutil.copyfile(Path(scratch) / "package/usr/bin/promtool", half)
        half.chmod(0o755)
        half.rename(kept)
    print(kept)
    return 0


def refuse(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
