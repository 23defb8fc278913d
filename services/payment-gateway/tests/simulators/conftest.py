"""Running simulators for tests of the simulators themselves."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importmode=importlib: siblings are found by this

from simulator_rig import RunningSimulators, run_simulators


@pytest.fixture
async def simulators(tmp_path: Path) -> AsyncIterator[RunningSimulators]:
    """Both channels over real HTTP, quick where a payer or a network would be slow."""
    async with run_simulators(tmp_path / "journals") as running:
        yield running
