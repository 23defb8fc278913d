"""A gateway with a database, merchants' servers, and a clock that can be turned."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from platform_cli.embedded.testing import FreshDatabase

sys.path.insert(0, str(Path(__file__).parents[1] / "clients"))
sys.path.insert(0, str(Path(__file__).parents[1] / "simulators"))
sys.path.insert(0, str(Path(__file__).parent))

from webhook_rig import WebhookRig, run_webhook_rig


@pytest.fixture
async def rig(fresh_database: FreshDatabase) -> AsyncIterator[WebhookRig]:
    database = await fresh_database("payments")
    async with run_webhook_rig(database.app_url) as running:
        yield running
