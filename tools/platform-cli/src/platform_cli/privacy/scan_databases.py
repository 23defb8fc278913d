"""Every row of every table of every schema, and everything in Redis, looked through for what is sought."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
from redis.asyncio import Redis

from platform_cli.privacy.sought import Place, Sought

CHUNK = 1_000

# A partition is a table, its parent is none; what Postgres keeps for itself is not ours.
TABLES = """
    SELECT format('%I.%I', schema.nspname, class.relname) AS name
    FROM pg_class AS class JOIN pg_namespace AS schema ON schema.oid = class.relnamespace
    WHERE class.relkind IN ('r', 'm') AND schema.nspname NOT IN ('pg_catalog', 'information_schema')
      AND schema.nspname NOT LIKE 'pg_toast%' AND schema.nspname NOT LIKE 'pg_temp%'
    ORDER BY 1"""
# A row as text has all its columns; bytes stand in it as hexadecimal digits.
LOOK = """
    SELECT count(*) AS read,
           count(*) FILTER (WHERE EXISTS (
               SELECT FROM unnest($1::text[]) AS value WHERE strpos(told, value) > 0)) AS values,
           count(*) FILTER (WHERE EXISTS (
               SELECT FROM unnest($2::text[]) AS token WHERE strpos(told, token) > 0)) AS tokens
    FROM (SELECT lower(one::text) AS told FROM {} AS one) AS rows"""


async def scan_postgres(url: str, sought: Sought) -> list[Place]:
    """A place for each table. Needs a role that reads everything: `platform_backup`, or a superuser.

    Raises what asyncpg raises: a table that cannot be read is no proof.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET row_security = off")  # refuse, rather than leave rows out
        places = []
        for table in await connection.fetch(TABLES):
            name = table["name"]
            found = await connection.fetchrow(LOOK.format(name), list(sought.values), list(sought.tokens))
            assert found is not None  # a count always has a row
            places.append(Place(name, found["read"], found["values"], found["tokens"]))
        return places
    finally:
        await connection.close()


async def scan_redis(url: str, sought: Sought, password: str | None = None) -> list[Place]:
    """A place for each stream, and one for each kind of key: what stands before the first colon."""
    places: dict[str, Place] = {}
    async with Redis.from_url(url, password=password) as connected:
        redis: Any = connected  # its own types know text alone, and bytes are what it answers
        async for key in redis.scan_iter(count=CHUNK):
            kind = str(await redis.type(key), "ascii")
            name = key.decode("latin-1")
            shown = name if kind == "stream" else name.partition(":")[0]
            place = places.setdefault(shown, Place(f"redis {kind} {shown}"[:300]))
            async for text in _texts(redis, key, kind):
                place.look(f"{name} {text}", sought)
    return sorted(places.values(), key=lambda place: place.place)


async def _texts(redis: Any, key: bytes, kind: str) -> AsyncIterator[str]:
    if kind == "stream":
        last = "-"
        while entries := await redis.xrange(key, min=last, count=CHUNK):
            for entry in entries:
                yield repr(entry)
            last = f"({entries[-1][0].decode('ascii')}"
        return
    readers = {
        "string": redis.get,
        "list": lambda one: redis.lrange(one, 0, -1),
        "hash": redis.hgetall,
        "set": redis.smembers,
        "zset": lambda one: redis.zrange(one, 0, -1),
    }
    yield repr(await readers[kind](key))
