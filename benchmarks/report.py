"""Where figures go, and what they were measured on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platform_cli.machine import describe_machine

DIRECTORY = Path(os.environ.get("PLATFORM_STATE", ".platform")) / "bench"


def write(name: str, figures: Mapping[str, Any]) -> Path:
    """Write `figures` with what they were measured on to .platform/bench/<name>.json."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    path = DIRECTORY / f"{name}.json"
    path.write_text(json.dumps(dict(figures) | {"environment": describe_machine()}, indent=2) + "\n")
    return path
