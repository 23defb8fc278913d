"""What is remembered of a payer, in Redis: the second half of the one Lua call of a decision (`clients/features.py`).

One hash per entity, `vel:{card:3f2a…}:known`: `first` is time|id of its first payment, `place` and `before` are
time|id|country of its newest two, every other field is a neighbour and holds when it was last seen with it. At most 19
fields of 30 bytes, so Redis keeps it as one packed string: 1.3 kB at the cap.

The names of the second hop come out of the first: their keys cannot be declared, which one Redis allows and a Cluster
would not.
"""

from collections.abc import Iterator, Sequence

from risk_engine.domain.facts import Subject
from risk_engine.domain.links import (
    FRAUD,
    KINDS,
    LINK_MS,
    NEIGHBOURS_MAX,
    ONCE_MS,
    REMEMBERED_MS,
    Seen,
    facts_of,
    no_memory,
)
from risk_engine.domain.velocity import DAY_MS

# Continues the program of the windows: `id`, `now`, `out` and `takes_strangers` are its own, and `strangers_max`
# and `named_by` are given. ARGV of this half begins at `base`.
PROGRAM = (
    f"local link_ms, neighbours_max = {LINK_MS}, {NEIGHBOURS_MAX}\n"
    f"local day_ms, once_ms, remembered_ms = {DAY_MS}, {ONCE_MS}, {REMEMBERED_MS}"
    + """
local place, mode, own_count = ARGV[base], ARGV[base + 1], #ARGV - base - 1
local own, found, frontier, met = {}, {}, {}, {}
local saturated, counts = 0, {card = 0, customer = 0, device = 0, email = 0, fraud = 0}
for i = 1, own_count do own[i] = ARGV[base + 1 + i] end

local function remembered(name)
  local flat = redis.call('HGETALL', 'vel:{' .. name .. '}:known' .. named_by)
  local memory, links, count = {}, {}, 0
  for f = 1, #flat, 2 do
    if string.find(flat[f], ':', 1, true) then
      links[flat[f]] = tonumber(flat[f + 1])
      count = count + 1
    else
      memory[flat[f]] = flat[f + 1]
    end
  end
  return memory, links, count
end

local function parts(text)
  local at, event, country = string.match(text, '^(-?%d+)|([^|]*)|?(.*)$')
  return tonumber(at), event, country
end

local function is_less(at, event, other_at, other_event)
  return at < other_at or (at == other_at and event < other_event)
end

-- Whether one more of the payment's day may be remembered, live or replayed: card testing makes four strangers a
-- payment, and a full Redis refuses streams and tasks, too.
local function has_room()
  if not takes_strangers() then return false end
  local day = 'vel:strangers' .. named_by .. ':' .. math.floor(now / day_ms)
  local count = redis.call('INCR', day)
  if count == 1 then redis.call('PEXPIRE', day, 2 * day_ms) end
  return count <= strangers_max
end

local function visit(links)
  local fresh = 0
  for other, at in pairs(links) do
    if at > now - link_ms then
      fresh = fresh + 1
      if at <= now and not found[other] then
        found[other] = true
        met[#met + 1] = other
      end
    end
  end
  if fresh >= neighbours_max then saturated = 1 end
end

for i = 1, #own do found[own[i]] = true end
for i = 1, #own do
  local key = 'vel:{' .. own[i] .. '}:known' .. named_by
  local memory, links, count = remembered(own[i])
  local set, dropped, mode, keep_ms = {}, {}, mode, once_ms
  if mode == 'payments' and count == 0 and not memory.first and not has_room() then
    mode, saturated = '', 1
  end
  local function link(other)
    if not links[other] then count = count + 1 end
    if not links[other] or links[other] < now then
      links[other] = now
      set[other] = ARGV[2]
    end
  end
  if mode == 'payments' then
    for j = 1, #own do if j ~= i then link(own[j]) end end
    local first_at, first_id = parts(memory.first or (ARGV[2] .. '|' .. id))
    if math.abs(now - first_at) >= day_ms then keep_ms = remembered_ms end
    if not memory.first or is_less(now, id, first_at, first_id) then set.first = ARGV[2] .. '|' .. id end
    if place ~= '' then
      local mine = ARGV[2] .. '|' .. id .. '|' .. place
      local at, event = parts(memory.place or '')
      local before_at, before_event = parts(memory.before or '')
      if event ~= id and before_event ~= id then
        if not at or is_less(at, event, now, id) then
          set.place, set.before = mine, memory.place
        elseif not before_at or is_less(before_at, before_event, now, id) then
          set.before = mine
        end
      end
    end
  elseif mode == 'frauds' then
    link('fraud:' .. id)
  elseif mode == 'cleared' then
    links['fraud:' .. id] = nil
    redis.call('HDEL', key, 'fraud:' .. id)
  end
  if mode == 'payments' or mode == 'frauds' then  -- what is cleared makes nothing older
    for other, at in pairs(links) do
      if at <= now - link_ms then links[other] = nil; dropped[#dropped + 1] = other; count = count - 1 end
    end
    while count > neighbours_max do
      local oldest
      for other, at in pairs(links) do
        if not oldest or is_less(at, other, links[oldest], oldest) then oldest = other end
      end
      links[oldest] = nil
      dropped[#dropped + 1] = oldest
      count = count - 1
    end
    for _, other in ipairs(dropped) do set[other] = nil end
    local fields = {}
    for name, value in pairs(set) do fields[#fields + 1] = name; fields[#fields + 1] = value; memory[name] = value end
    if #dropped > 0 then redis.call('HDEL', key, unpack(dropped)) end
    if #fields > 0 then redis.call('HSET', key, unpack(fields)) end
    if keep_ms > redis.call('PTTL', key) then redis.call('PEXPIRE', key, keep_ms) end
  end
  local first_at, first_id = parts(memory.first or (ARGV[2] .. '|' .. id))
  local from, since = '', 0
  for _, name in ipairs({'place', 'before'}) do
    local at, event, country = parts(memory[name] or '')
    if from == '' and at and event ~= id and at <= now then from, since = country, now - at end
  end
  out[#out + 1] = math.max(0, now - first_at)
  out[#out + 1] = first_id == id and 1 or 0
  out[#out + 1] = from
  out[#out + 1] = since
  visit(links)
end
frontier, met = met, {}
for i = 1, #frontier do
  if string.sub(frontier[i], 1, 6) ~= 'fraud:' then
    local _, links = remembered(frontier[i])
    visit(links)
  end
end
for name in pairs(found) do
  local kind = string.match(name, '^%a+')
  counts[kind] = counts[kind] + 1
end
for _, kind in ipairs({'card', 'customer', 'device', 'email', 'fraud'}) do out[#out + 1] = counts[kind] end
out[#out + 1] = saturated
"""
)


def arguments(subject: Subject, records: str) -> list[str]:
    """ARGV of this half: where the payment is, what is recorded, whose memory it is."""
    if records == "declines":  # says nothing about who is known to whom: nobody's memory is touched
        return ["", ""]
    return [subject.ip_country, records, *names_of(subject).values()]


def names_of(subject: Subject) -> dict[str, str]:
    """The payment's own entities by kind, as memory knows them: card -> card:<fingerprint>."""
    entities = subject.entities()
    if not subject.customer_id:
        entities.pop("customer", None)  # the card stands in for it in the windows; here it is one thing
    return {kind: f"{kind}:{entities[kind]}" for kind in KINDS if kind in entities}


def read(values: Iterator[int | bytes], subject: Subject, records: str) -> dict[str, int | bool]:
    """The facts of this half's answer."""
    kinds: Sequence[str] = () if records == "declines" else tuple(names_of(subject))
    known = {kind: _seen(values) for kind in kinds}
    reached = {f"linked_{kind}s": int(next(values)) for kind in (*KINDS, FRAUD)}
    is_saturated = bool(next(values))
    return no_memory() | facts_of(known, subject.ip_country) | reached | {"links_saturated": is_saturated}


def _seen(values: Iterator[int | bytes]) -> Seen:
    age_ms, is_new, came_from, elapsed_ms = (next(values) for _ in range(4))
    country = came_from.decode() if isinstance(came_from, bytes) else ""
    return Seen(int(age_ms), bool(is_new), country, int(elapsed_ms))
