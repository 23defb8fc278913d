"""One Lua program for many callers at once, who go together.

Each decision is still one call of the program; what is shared is the connection, its timeout and the two system
calls. With 32 decisions in flight the engine's CPU for Redis fell from 17 to 12 of 100 samples (one profile each, on a
busy machine).
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from platform_kit.together import Together

CALL_MS_MAX = 0.85  # inside Redis, within a full ring (docs/risk.md); 0.3 ms as a rule
BATCH_MAX = 16  # the last of a batch waits for all: 14 ms at most, and the velocity's share is 25
ROUND_TRIP_S = 0.25  # a frozen server is given up on after this, unless a store's callers have more patience


class SharedScript:
    """Calls of one program. Belongs to the event loop that it is used in."""

    def __init__(self, redis: Redis, program: str, round_trip_s: float = ROUND_TRIP_S) -> None:
        self._redis = redis
        self._program = program
        self._round_trip_s = round_trip_s
        self._sha = ""
        self._calls: Together[Sequence[Any], Any] = Together(self._send, batch_max=BATCH_MAX)

    async def call(self, keys: Sequence[str], arguments: Sequence[str | int], timeout_s: float) -> Any:
        """The program's answer. Raises RedisError, OSError or TimeoutError; then it may or may not have run."""
        return await self._calls.call((len(keys), *keys, *arguments), timeout_s)

    async def _send(self, calls: Sequence[Sequence[Any]]) -> list[Any]:
        async with asyncio.timeout(self._round_trip_s):
            return await self._round_trip(calls)

    async def _round_trip(self, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """Answers in the order of the calls, errors among them; loads the program where Redis has lost it."""
        if not self._sha:
            self._sha = await self._redis.script_load(self._program)
        answers = await self._pipelined(calls)
        unknown = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            await self._redis.script_load(self._program)
            for number, answer in zip(
                unknown, await self._pipelined([calls[n] for n in unknown]), strict=True
            ):
                answers[number] = answer
        return answers

    async def _pipelined(self, calls: Sequence[Sequence[Any]]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for arguments in calls:
            pipeline.execute_command("EVALSHA", self._sha, *arguments)
        return await pipeline.execute(raise_on_error=False)
