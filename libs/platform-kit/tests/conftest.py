"""Fixtures of the kit's tests, on top of the real servers that the root conftest starts."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from platform_kit.redis import create_redis

sys.path.insert(0, str(Path(__file__).parent))  # importmode=importlib: siblings are found by this

from event_rig import OwnRedis, Rig, an_engine


@pytest.fixture
async def rig(fresh_database: Any, redis_url: str) -> AsyncIterator[Rig]:
    """A producer and a consumer with nothing written yet, on a stream of their own."""
    database = await fresh_database(None)
    async with an_engine(database.admin_url) as engine, create_redis(redis_url, timeout_s=60) as redis:
        rig = Rig(engine, redis)
        yield rig
        await redis.delete(rig.stream)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    """A Redis that this test may kill."""
    server = OwnRedis(tmp_path)
    server.start()
    yield server
    server.kill()
