"""What the gateway's tests share."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from payment_gateway.api.schemas.events import event_schemas
from platform_cli.embedded.event_witness import EventWitness
from platform_cli.embedded.testing import FreshDatabase, TestDatabase

sys.path.insert(0, str(Path(__file__).parent))  # `factories` is a module of the tests, not of the service


@pytest.fixture(scope="session")
def event_witness() -> EventWitness:
    return EventWitness(event_schemas())


@pytest.fixture
async def fresh_database(
    fresh_database: FreshDatabase, event_witness: EventWitness
) -> AsyncIterator[FreshDatabase]:
    """As everywhere; and whatever event a test made happen in one has kept to its contract."""
    made: list[TestDatabase] = []

    async def create(service: str | None = "payments") -> TestDatabase:
        database = await fresh_database(service)
        if service == "payments":
            made.append(database)
        return database

    yield create
    for database in made:
        assert await event_witness.faults_in(database.admin_url, "payments") == []
