"""What no process pays for at its start: the libraries of reports and exports are imported when they are used."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "ibis",
    "sqlglot",
    "duckdb",
    "pyarrow",
    "pandas",
    "fsspec",
    "xlsxwriter",
    "pandera",
    "narwhals",
    "openlineage",
)


def test_the_program_starts_without_the_heavy_libraries() -> None:
    told = f"import sys, data_pipeline.app; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
