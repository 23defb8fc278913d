"""The unmodified official client, pointed at a running gateway."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import stripe

from platform_cli.embedded.testing import FreshDatabase

sys.path.insert(0, str(Path(__file__).parents[1] / "simulators"))
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parents[1] / "webhooks"))
sys.path.insert(0, str(Path(__file__).parent))

from gateway_rig import RunningGateway, run_gateway
from stripe_rig import Shop


@pytest.fixture
async def gateway(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with run_gateway(await fresh_database("payments"), tmp_path / "journals") as running:
        yield running


@pytest.fixture
def shop(gateway: RunningGateway) -> Shop:
    client = stripe.StripeClient(
        gateway.key, base_addresses={"api": f"{gateway.url}/stripe"}, max_network_retries=0
    )
    return Shop(client, gateway)
