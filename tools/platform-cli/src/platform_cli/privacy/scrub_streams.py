"""Streams in Redis, scrubbed of people: what everybody has read and acknowledged goes, when it tells of somebody.

Redis is transport. A consumer that misses an entry asks the events API for it, which answers from a scrubbed outbox.
"""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis

from platform_cli.privacy.clear_fields import data_of, without_people
from platform_cli.privacy.scrub_databases import Scrubbed

STREAMS: Final = ("events:payments", "events:risk")
CHUNK: Final = 1_000


async def scrub_streams(url: str, password: str | None = None, *, dry_run: bool) -> list[Scrubbed]:
    """Each stream of events that this Redis has."""
    async with Redis.from_url(url, password=password) as connected:
        redis: Any = connected  # its own types know text alone, and bytes are what it answers
        return [
            await _scrub_stream(redis, stream, dry_run) for stream in STREAMS if await redis.exists(stream)
        ]


async def _scrub_stream(redis: Any, stream: str, dry_run: bool) -> Scrubbed:
    place, last = Scrubbed(f"redis stream {stream}"), "-"
    needed = await _first_needed(redis, stream)
    while entries := await redis.xrange(stream, min=last, count=CHUNK):
        place.read += len(entries)
        clear = [name for name, fields in entries if _tells_of_people(fields)]
        done = [name for name in clear if needed is None or _parts(name) < needed]
        place.cleared += len(done)
        place.kept += len(clear) - len(done)
        if done and not dry_run:
            await redis.xdel(stream, *done)
        last = f"({entries[-1][0].decode('ascii')}"
    return place


def _tells_of_people(fields: dict[bytes, bytes]) -> bool:
    data = data_of(fields.get(b"event", b"").decode("utf-8", "replace"), "data")
    return data is not None and without_people(data, {}) is not None


async def _first_needed(redis: Any, stream: str) -> tuple[int, int] | None:
    """The first entry that some group has not acknowledged; None when nobody reads this stream."""
    needed = []
    for group in await redis.xinfo_groups(stream):
        pending = await redis.xpending(stream, group["name"])
        if pending["pending"]:
            needed.append(_parts(pending["min"]))
        else:
            milliseconds, number = _parts(group["last-delivered-id"])
            needed.append((milliseconds, number + 1))
    return min(needed) if needed else None


def _parts(name: bytes) -> tuple[int, int]:
    milliseconds, _, number = name.partition(b"-")
    return int(milliseconds), int(number or 0)
