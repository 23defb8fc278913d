"""Velocity windows in Redis: one Lua call per decision records the payment and reads every window, and what is
remembered of the payer (`clients/links.py`).

The program's tables are generated from `domain/velocity.py`. Each series is one sorted set, scored by event time, at
most `cap` members of the form `id|amount|card|country`; an id that is already in the set is not added again, so a
retried decision counts once. Keys carry a hash tag per entity and live as long as their longest window.
Redis may lose everything at any second: `operations/rebuild_velocity.py` refills it from Postgres.

On a Redis Cluster the entities of one payment live in different slots, so one call would have to become one per
entity (risk.md asks for one call; the chart ships one Redis).
"""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from risk_engine.clients import links
from risk_engine.clients.shared_script import ROUND_TRIP_S, SharedScript
from risk_engine.domain.facts import Subject
from risk_engine.domain.velocity import HOUR_MS, SERIES, Aggregate, Series, empty_windows

# Present = windows and memory are complete; gone after Redis lost its data. The number grows with what is kept there:
# the processes that first keep more find it missing, rebuild, and look at the labels from their beginning.
# So does a process that names people by another key: `vel:warm:2:<key>` (domain/fingerprints.py).
WARM_KEY = "vel:warm:2"
FRAUDS_KEY = "vel:frauds:2"  # id of the last label that was looked at for them
# What needs no amount, card or country: series of nothing else are not taken apart.
OF_TIMES_ONLY = frozenset({Aggregate.COUNT, Aggregate.OLDEST_HOURS, Aggregate.NEWEST_HOURS})
FULL_KEY = "vel:full"  # Redis is short of memory: who has no window begins none
FULL_MS = 5_000  # it is said anew each second
FILLED_MAX = 0.8  # of `maxmemory`: the rest is for those who are known, and for streams and tasks
# Ids of the last payments decided without Redis that were recorded afterwards: as they come, and a second time behind.
UNSEEN_KEYS = ("vel:unseen", "vel:unseen:again")
DECLINES_KEY = "vel:declines"  # sequence number of the last stored decline that is in the windows
UNBOUNDED = 2**31  # strangers a day, for a Redis of one's own; a platform's bound is in its settings

PROGRAM = """
local series = {%(series)s}
local id, now, amount, card, country = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local mine = id .. '|'
local out = {redis.call('EXISTS', KEYS[1])}
local base = #KEYS + 5
local full
local function takes_strangers()
  if full == nil then full = redis.call('EXISTS', '%(full)s') == 1 end
  return not full
end
for k = 2, #KEYS do
  local key, number = KEYS[k], tonumber(ARGV[k + 4])
  local s = series[math.abs(number)]
  local found = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  if number > 0 then
    local known = false
    for i = 1, #found, 2 do
      if string.sub(found[i], 1, #mine) == mine then known = true; break end
    end
    local dropped = redis.call('ZREMRANGEBYSCORE', key, '-inf', now - s.horizon)
    if not known then
      local member = mine .. ARGV[3] .. '|' .. card .. '|' .. country
      if #found > 0 or takes_strangers() then redis.call('ZADD', key, ARGV[2], member) end
      found[#found + 1] = member
      found[#found + 1] = now
    end
    if #found / 2 - dropped > s.cap then
      redis.call('ZREMRANGEBYRANK', key, 0, -s.cap - 1)
      dropped = 1
    end
    if dropped > 0 then found = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end
    redis.call('PEXPIRE', key, s.horizon)
  end
  local values, seen, since, upto = {}, {}, {}, {}
  for w = 1, #s.windows do
    upto[w] = now - s.windows[w][3]
    values[w], seen[w], since[w] = 0, {}, upto[w] - s.windows[w][2]
  end
  for i = 1, #found, 2 do
    local at = tonumber(found[i + 1])
    local event_amount, event_card, event_country
    if s.parses and at <= now then
      event_amount, event_card, event_country = string.match(found[i], '|(%%d+)|([^|]*)|([^|]*)$')
    end
    for w = 1, #s.windows do
      if at <= upto[w] and at > since[w] then
        local kind = s.windows[w][1]
        if kind == 'count' then
          values[w] = values[w] + 1
        elseif kind == 'sum' then
          values[w] = values[w] + tonumber(event_amount)
        elseif kind == 'largest' then
          values[w] = math.max(values[w], tonumber(event_amount))
        elseif kind == 'oldest_hours' then
          values[w] = math.max(values[w], math.floor((now - at) / %(hour)s))
        elseif kind == 'newest_hours' then
          values[w] = math.floor((now - at) / %(hour)s)
        else
          local thing = kind == 'distinct_cards' and event_card or event_country
          if thing ~= '' and not seen[w][thing] then
            seen[w][thing] = true
            values[w] = values[w] + 1
          end
        end
      end
    end
  end
  for w = 1, #values do out[#out + 1] = values[w] end
  out[#out + 1] = #found / 2 >= s.cap and 1 or 0
end
"""


class VelocityUnavailable(Exception):
    """Redis did not answer in its share of the deadline; the payment may or may not have been recorded."""


@dataclass(frozen=True, slots=True)
class Velocity:
    """What the windows and the memory said; `is_warm` is False while they are being rebuilt after a loss."""

    windows: Mapping[str, int | bool]
    is_warm: bool


def program(strangers_per_day_max: int = UNBOUNDED, named_by: str = "") -> str:
    """The Lua program for the windows as they are defined; `named_by` ends the names of memories."""
    series = ",\n  ".join(_lua_series(series) for series in SERIES)
    windows = PROGRAM % {"series": series, "full": FULL_KEY, "hour": HOUR_MS}
    given = f"local strangers_max, named_by = {strangers_per_day_max}, '{named_by}'\n"
    return f"{windows}{given}{links.PROGRAM}return out\n"


def _lua_series(series: Series) -> str:
    parses = any(window.aggregate not in OF_TIMES_ONLY for window in series.windows)
    windows = ", ".join(
        f"{{'{window.aggregate}', {window.length_ms}, {window.delay_ms}}}" for window in series.windows
    )
    return f"{{cap={series.cap}, horizon={series.horizon_ms}, parses={str(parses).lower()}, windows={{{windows}}}}}"


def key_of(series: Series, entity: str) -> str:
    """`vel:{card:3f2a...}:payments`; the braces keep one entity's series together on a cluster."""
    return f"vel:{{{series.entity}:{entity}}}:{series.kind}"


class FeatureStore:
    """The velocity windows of one Redis. `named_by` is the key that people's names end with: under another one they are
    other windows and memories, to be filled from the beginning. A card's memory holds the names of its devices: under
    two keys each would be two."""

    def __init__(
        self,
        redis: Redis,
        *,
        timeout_s: float,
        strangers_per_day_max: int = UNBOUNDED,
        named_by: str = "",
    ) -> None:
        suffix = f":{named_by}" if named_by else ""
        self._warm_key, self._frauds_key, self._declines_key = (
            name + suffix for name in (WARM_KEY, FRAUDS_KEY, DECLINES_KEY)
        )
        self._unseen_keys = [name + suffix for name in UNSEEN_KEYS]
        self._redis = redis
        self._timeout_s = timeout_s
        self._script = SharedScript(
            redis, program(strangers_per_day_max, suffix), round_trip_s=max(ROUND_TRIP_S, timeout_s)
        )

    async def assess(self, subject: Subject, amount: int) -> Velocity:
        """Record the payment and read every window as of its event time. Raises VelocityUnavailable."""
        return await self._run(subject, amount, records="payments", timeout_s=self._timeout_s)

    async def record(self, subject: Subject, amount: int, *, kind: str, timeout_s: float = 5.0) -> None:
        """Record only: a decline from the payment's event, a fraud from its label, `cleared` when that was taken back,
        or a payment while windows are rebuilt."""
        await self._run(subject, amount, records=kind, timeout_s=timeout_s)

    async def is_warm(self) -> bool:
        """Whether the windows are complete. Raises VelocityUnavailable."""
        return bool(await self._guard(self._redis.exists(self._warm_key)))

    async def mark_warm(self) -> None:
        """The windows are complete from here on, until Redis loses its data."""
        await self._guard(self._redis.set(self._warm_key, "1"))

    async def filled(self) -> float:
        """How much of its memory Redis uses, 0 to 1; 0.0 where it has no bound. Raises VelocityUnavailable."""
        return float(await self._guard(filled(self._redis)))

    async def note_room(self) -> bool:
        """Whether strangers are taken; where Redis is short of memory that is noted for a while, for all who decide.
        Raises VelocityUnavailable."""
        is_full = await self.filled() >= FILLED_MAX
        if is_full:
            await self._guard(self._redis.set(FULL_KEY, "1", px=FULL_MS))
        return not is_full

    async def declines_seen(self) -> int:
        """Sequence number of the last decline recorded; 0 after a loss. Raises VelocityUnavailable."""
        return int(await self._guard(self._redis.get(self._declines_key)) or 0)

    async def set_declines_seen(self, seq: int) -> None:
        """Remember how far the declines were recorded. Raises VelocityUnavailable."""
        await self._guard(self._redis.set(self._declines_key, seq))

    async def frauds_seen(self) -> str:
        """Id of the last label that was projected; "" after a loss. Raises VelocityUnavailable."""
        return ((await self._guard(self._redis.get(self._frauds_key))) or b"").decode()

    async def set_frauds_seen(self, label_id: str) -> None:
        """Remember how far the labels were projected. Raises VelocityUnavailable."""
        await self._guard(self._redis.set(self._frauds_key, label_id))

    async def unseen_told(self) -> list[str]:
        """Ids of the last payments that were decided without Redis and are recorded by now, of the first look and of
        the second; "" after a loss. Raises VelocityUnavailable."""
        return [(one or b"").decode() for one in await self._guard(self._redis.mget(self._unseen_keys))]

    async def set_unseen_told(self, look: int, assessment_id: str) -> None:
        """Remember how far such payments were recorded. Raises VelocityUnavailable."""
        await self._guard(self._redis.set(self._unseen_keys[look], assessment_id))

    async def take_let_through(self, hour: str, at_most: int, left_s: float) -> bool:
        """Whether this is one of the first `at_most` of an hour, over all processes. It takes our own time, or what is
        left of the decision's. Raises VelocityUnavailable or TimeoutError."""
        pipeline = self._redis.pipeline()  # one transaction: a count without an end would stay
        pipeline.set(f"let-through:{hour}", 0, ex=2 * 3600, nx=True)
        pipeline.incr(f"let-through:{hour}")
        async with asyncio.timeout(min(self._timeout_s, left_s)):
            _, taken = await self._guard(pipeline.execute())
        return int(taken) <= at_most

    async def _run(self, subject: Subject, amount: int, *, records: str, timeout_s: float) -> Velocity:
        entities = subject.entities()
        used = [(number, series) for number, series in enumerate(SERIES, 1) if series.entity in entities]
        keys = [self._warm_key, *(key_of(series, entities[series.entity]) for _, series in used)]
        numbers = [number if series.kind == records else -number for number, series in used]
        arguments: list[str | int] = [
            subject.event_id,
            subject.occurred_at_ms,
            amount,
            subject.card,
            subject.country,
            *numbers,
            *links.arguments(subject, records),
        ]
        answer = await self._guard(self._script.call(keys, arguments, timeout_s))
        values = iter(answer[1:])
        windows = _read(values, [series for _, series in used])
        return Velocity(windows | links.read(values, subject, records), bool(answer[0]))

    async def _guard(self, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except (RedisError, OSError, TimeoutError) as error:
            raise VelocityUnavailable(type(error).__name__) from error


async def filled(redis: Redis) -> float:
    """How much of its memory a Redis uses, 0 to 1; 0.0 where it has no bound. Raises RedisError."""
    memory = await redis.info("memory")
    bound = int(memory["maxmemory"])
    return int(memory["used_memory"]) / bound if bound else 0.0


def _read(values: Iterator[int], used: Sequence[Series]) -> dict[str, int | bool]:
    windows = empty_windows()
    for series in used:
        for window in series.windows:
            windows[window.name] = next(values)
        windows[series.saturated] = bool(next(values))
    return windows
