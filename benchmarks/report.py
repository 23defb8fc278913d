"""Where figures go, and what they were measured on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DIRECTORY = Path(os.environ.get("PLATFORM_STATE", ".platform")) / "bench"


def write(name: str, figures: Mapping[str, Any]) -> Path:
    """Write `figures` with the stamp of the environment to .platform/bench/<name>.json."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    path = DIRECTORY / f"{name}.json"
    path.write_text(json.dumps(dict(figures) | {"environment": environment()}, indent=2) + "\n")
    return path


def environment() -> dict[str, Any]:
    """Cores, versions and revision."""
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": sys.version.split()[0],
        "revision": revision.stdout.strip() or None,
    }
