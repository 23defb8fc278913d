"""A gateway with a vault, and the vault alone."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from platform_cli.embedded.testing import FreshDatabase

sys.path.insert(0, str(Path(__file__).parents[1] / "simulators"))
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parent))

from gateway_rig import RunningGateway, run_gateway


@pytest.fixture
async def gateway(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    """Gateway, channels and risk over real HTTP, and a merchant."""
    async with run_gateway(await fresh_database("payments"), tmp_path / "journals") as running:
        yield running
