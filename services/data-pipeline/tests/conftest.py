"""Fixtures of this service's tests, on top of the real servers that the root conftest starts."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.operations.deps import Deps
from platform_cli.embedded.testing import FreshDatabase, TestDatabase
from platform_kit.db import create_engine

sys.path.insert(0, str(Path(__file__).parent))  # importmode=importlib: siblings are found by this

from pipeline_rig import World, deps_for, settings_for


@pytest.fixture
async def database(fresh_database: FreshDatabase) -> TestDatabase:
    """A new migrated database."""
    return await fresh_database("pipeline")


@pytest.fixture
async def engine(database: TestDatabase) -> AsyncIterator[AsyncEngine]:
    """An engine as the program's own role."""
    engine = create_engine(settings_for(database.app_url))
    yield engine
    await engine.dispose()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The other services."""
    async with World().serve() as world:
        yield world


@pytest.fixture
async def deps(database: TestDatabase, engine: AsyncEngine, world: World) -> AsyncIterator[Deps]:
    """What operations work with; it is noon."""
    async with deps_for(settings_for(database.app_url, world.url), engine) as deps:
        yield deps
