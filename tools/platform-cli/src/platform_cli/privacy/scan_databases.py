"""Every row of every table of every schema, and everything in Redis, looked through for what is sought."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from platform_cli.privacy.leaves import text_of
from platform_cli.privacy.sought import QUOTING, Findings, Place, Sought

CHUNK = 1_000

# A partition is a table, its parent is none; what Postgres keeps for itself is not ours.
TABLES = """
    SELECT format('%I.%I', schema.nspname, class.relname) AS name
    FROM pg_class AS class JOIN pg_namespace AS schema ON schema.oid = class.relnamespace
    WHERE class.relkind IN ('r', 'm') AND schema.nspname NOT IN ('pg_catalog', 'information_schema')
      AND schema.nspname NOT LIKE 'pg_toast%' AND schema.nspname NOT LIKE 'pg_temp%'
    ORDER BY 1"""
# A row as text has all its columns; bytes stand in it as hexadecimal digits. Compared as `bare` does.
LOOK = """
    SELECT count(*) AS read,
           count(*) FILTER (WHERE EXISTS (
               SELECT FROM unnest($1::text[]) AS value WHERE strpos(told, value) > 0)) AS values,
           count(*) FILTER (WHERE EXISTS (
               SELECT FROM unnest($2::text[]) AS token WHERE strpos(told, token) > 0)) AS tokens
    FROM (SELECT translate(lower(one::text), $3, '') AS told FROM {} AS one) AS rows"""


async def scan_postgres(url: str, sought: Sought) -> Findings:
    """A place for each table. Needs a role that reads everything, `platform_backup` or a superuser: a table that it may
    not read is left out. One that was dropped just now is nowhere."""
    findings = Findings()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET row_security = off")  # refuse, rather than leave rows out
        for table in await connection.fetch(TABLES):
            name = table["name"]
            try:
                found = await connection.fetchrow(
                    LOOK.format(name), list(sought.values), list(sought.tokens), QUOTING
                )
            except asyncpg.UndefinedTableError:
                continue  # a partition whose time is over
            except asyncpg.PostgresError as error:
                findings.left_out.append(f"{name}: {error}")
                continue
            assert found is not None  # a count always has a row
            findings.places.append(Place(name, found["read"], found["values"], found["tokens"]))
    finally:
        await connection.close()
    return findings


async def scan_redis(url: str, sought: Sought, password: str | None = None) -> Findings:
    """A place for each stream, and one for each type and kind of key: what stands before the first colon."""
    places: dict[str, Place] = {}
    left_out: list[str] = []
    async with Redis.from_url(url, password=password) as connected:
        redis: Any = connected  # its own types know text alone, and bytes are what it answers
        async for key in redis.scan_iter(count=CHUNK):
            kind = str(await redis.type(key), "ascii")
            name = key.decode("utf-8", "replace")
            if kind == "none":
                continue  # its time was over between the two questions
            if kind not in READERS:
                left_out.append(f"redis {kind} {name}: a type that is not read")
                continue
            shown = f"redis {kind} {name if kind == 'stream' else name.partition(':')[0]}"
            place = places.setdefault(shown, Place(shown))
            try:
                async for told in READERS[kind](redis, key):
                    place.look(f"{name}\n{text_of(told)}", sought)
            except ResponseError as error:  # of another type by now
                left_out.append(f"redis {kind} {name}: {error}")
    return Findings(sorted(places.values(), key=lambda place: place.place), left_out)


async def _entries(redis: Any, key: bytes) -> AsyncIterator[Any]:
    last = "-"
    while entries := await redis.xrange(key, min=last, count=CHUNK):
        for entry in entries:
            yield entry
        last = f"({entries[-1][0].decode('ascii')}"


async def _string(redis: Any, key: bytes) -> AsyncIterator[Any]:
    yield await redis.get(key) or b""


async def _list(redis: Any, key: bytes) -> AsyncIterator[Any]:
    yield await redis.lrange(key, 0, -1)


async def _hash(redis: Any, key: bytes) -> AsyncIterator[Any]:
    yield await redis.hgetall(key)


async def _set(redis: Any, key: bytes) -> AsyncIterator[Any]:
    yield await redis.smembers(key)


async def _sorted_set(redis: Any, key: bytes) -> AsyncIterator[Any]:
    yield await redis.zrange(key, 0, -1)


READERS: Mapping[str, Callable[[Any, bytes], AsyncIterator[Any]]] = {
    "stream": _entries,
    "string": _string,
    "list": _list,
    "hash": _hash,
    "set": _set,
    "zset": _sorted_set,
}
