"""Fixtures of this service's tests, on top of the real servers that the root conftest starts."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from data_pipeline.app import create_pipeline
from data_pipeline.operations.deps import Deps
from platform_cli.embedded.serving import serving
from platform_cli.embedded.testing import FreshDatabase, TestDatabase
from platform_kit.clock import FixedClock
from platform_kit.db import create_engine

sys.path.insert(0, str(Path(__file__).parent))  # importmode=importlib: siblings are found by this

from pipeline_rig import NOON, World, deps_for, settings_for
from running_service import Service, logged_in
from seeded_day import Seeded, fill


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


@pytest.fixture
async def service(database: TestDatabase, world: World) -> AsyncIterator[Service]:
    """Nothing has happened yet."""
    app = create_pipeline(settings_for(database.app_url, world.url))
    async with serving(app) as url:
        app.state.deps = replace(app.state.deps, clock=FixedClock(NOON))
        cookie = f"console={await logged_in(app.state.deps)}"
        async with aiohttp.ClientSession(
            headers={"Cookie": cookie}, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            yield Service(url, app, app.state.deps, session)


@pytest.fixture
async def seeded(service: Service, world: World) -> Seeded:
    """The simulated hour before noon."""
    return await fill(service.deps, world, NOON)


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """What is logged, at whatever level an earlier test has left this process."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET))
    with capture_logs() as lines:
        yield lines
    structlog.configure(**before)
