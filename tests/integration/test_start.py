"""What a process of a service pays before it does anything, and a pod with it, whenever one is added or replaced."""

import subprocess
import sys

import pytest

SERVICES = ("payment_gateway", "risk_engine", "data_pipeline")
CLIENTS = {"aiohttp", "alembic", "asyncpg", "celery", "fastapi", "redis"}
"""What a command imports when it is the one that runs. SQLAlchemy is not among them: settings make its URLs."""
TRAINING = {"lightgbm", "pandas", "pyarrow", "scipy", "sklearn"}
"""What scoring does without: three seconds of CPU and 100 MB, only for who trains a model or exports
history. (The engine's worker measures the quality of scores with NumPy.)"""


def imported_by(module: str) -> set[str]:
    """The packages that a new interpreter has when it has imported `module`. This one has them all."""
    ask = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("service", SERVICES)
def test_a_command_line_imports_nothing_before_a_command_needs_it(service: str) -> None:
    assert not CLIENTS & imported_by(f"{service}.commands")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("part", ["app", "worker"])
def test_no_process_starts_with_what_trains_models(service: str, part: str) -> None:
    assert not TRAINING & imported_by(f"{service}.{part}")
