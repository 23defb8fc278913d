"""Two gateways on one database and one set of channels, as two replicas stand in production."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from platform_cli.embedded.testing import FreshDatabase, TestDatabase

sys.path.insert(0, str(Path(__file__).parents[1] / "simulators"))
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parent))

from gateway_rig import RunningGateway, run_gateway
from twin import run_twin


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> TestDatabase:
    """The database of both."""
    return await fresh_database("payments")


@pytest.fixture
async def gateway(database: TestDatabase, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    """Gateway, channels and risk over real HTTP, and a merchant."""
    async with run_gateway(database, tmp_path / "journals") as running:
        yield running


@pytest.fixture
async def twin(gateway: RunningGateway) -> AsyncIterator[RunningGateway]:
    """The other replica, for the same merchant."""
    async with run_twin(gateway) as running:
        yield running
