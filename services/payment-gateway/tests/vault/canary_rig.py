"""The gateway's four processes as they are deployed, and a search of everything that they leave behind."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from gateway_rig import ADMIN, SECRET, TOKEN, VAULT_KEYS
from redis.asyncio import Redis
from vault_rig import SECRET as FINGERPRINT_KEY

from platform_cli.embedded.running import free_port
from platform_cli.embedded.testing import TestDatabase

PROGRAM = str(Path(sys.executable).parent / "payment-gateway")
READY_MAX_S = 60.0


@dataclass
class Processes:
    """A client of the API, and where each process wrote what it had to say."""

    url: str
    session: aiohttp.ClientSession
    logs: Path
    journals: Path
    api: asyncio.subprocess.Process
    key: str = ""

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, str, str]:
        """Status, body and headers, the latter two as text."""
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}
        async with self.session.request(method, self.url + path, headers=headers, **options) as response:
            return response.status, await response.text(), str(response.raw_headers)


@asynccontextmanager
async def running_processes(database: TestDatabase, redis_url: str, place: Path) -> AsyncIterator[Processes]:
    ports = {name: free_port() for name in ("api", "channels")}
    url = f"http://127.0.0.1:{ports['api']}"
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": database.app_url,
        "VAULT_DATABASE_URL": database.url("vault_app"),
        "VAULT_KEYS": VAULT_KEYS,
        "VAULT_FINGERPRINT_KEY": FINGERPRINT_KEY,
        "REDIS_URL": redis_url,
        "INTERNAL_TOKEN": TOKEN,
        "ADMIN_API_KEY": ADMIN,
        "CHANNEL_SECRET": SECRET,
        "PUBLIC_URL": url,
        "GATEWAY_URL": url,
        "RISK_URL": "http://127.0.0.1:9",  # nobody is there: the fallback policy decides, and says so in the log
        "CARD_CHANNEL_URL": f"http://127.0.0.1:{ports['channels']}/card",
        "WALLET_CHANNEL_URL": f"http://127.0.0.1:{ports['channels']}/wallet",
        "CHANNEL_JOURNAL_DIR": str(place / "journals"),
        "WEBHOOK_ALLOW_PRIVATE": "true",
        "LOG_LEVEL": "DEBUG",
    }
    started: dict[str, asyncio.subprocess.Process] = {}
    for command in ("channels", "api", "worker", "relay"):
        with (place / f"{command}.log").open("wb") as log:
            port = {"PORT": str(ports[command])} if command in ports else {}
            started[command] = await asyncio.create_subprocess_exec(
                PROGRAM, command, env=environment | port, cwd=place, stdout=log, stderr=log
            )
    try:
        async with aiohttp.ClientSession() as session:
            await _until_ready(session, url)
            yield Processes(url, session, place, place / "journals", started["api"])
    finally:
        for process in started.values():
            if process.returncode is None:
                process.kill()
                await process.wait()


async def _until_ready(session: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(READY_MAX_S):
        while True:
            try:
                async with session.get(f"{url}/health/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def everything_in(database: TestDatabase) -> AsyncIterator[tuple[str, str]]:
    """Every row of every table of every schema as text; what is binary also as the characters that it may hold."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        for table in tables:
            for row in await connection.fetch(f"SELECT * FROM {table['name']}"):
                for column, value in row.items():
                    plain = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                    yield f"{table['name']}.{column}", plain
    finally:
        await connection.close()


async def everything_in_redis(url: str) -> AsyncIterator[tuple[str, str]]:
    readers = {
        b"string": lambda redis, key: redis.get(key),
        b"list": lambda redis, key: redis.lrange(key, 0, -1),
        b"hash": lambda redis, key: redis.hgetall(key),
        b"set": lambda redis, key: redis.smembers(key),
        b"zset": lambda redis, key: redis.zrange(key, 0, -1),
        b"stream": lambda redis, key: redis.xrange(key),
    }
    async with Redis.from_url(url) as redis:
        async for key in redis.scan_iter():
            yield f"redis {key!r}", f"{key!r} {await readers[await redis.type(key)](redis, key)!r}"


def everything_written(place: Path) -> Iterator[tuple[str, str]]:
    for file in place.rglob("*"):
        if file.is_file():
            yield file.name, file.read_bytes().decode("latin-1")


def leaves(
    schema: dict[str, Any], schemas: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """The path of every member of a body, those of alternatives too."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for alternative in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from leaves(alternative, schemas, path)
    for name, member in schema.get("properties", {}).items():
        yield from leaves(member, schemas, (*path, name))
    if schema.get("additionalProperties"):
        yield (*path, "canary")
    elif path and "properties" not in schema and schema.get("type") != "null":
        yield path


def body_with(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """A body with one member set."""
    body: object = value
    for name in reversed(path):
        body = {name: body}
    assert isinstance(body, dict)
    return body
