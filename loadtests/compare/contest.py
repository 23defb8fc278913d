"""Two systems take turns over the same work; what counts is the ratio within a turn: then the machine was the same."""

import asyncio
import random
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import ModuleType
from typing import Any

import aiohttp

from loadtests.compare.adapter import caller
from loadtests.compare.drive import Side, Trial
from loadtests.compare.work import Transfer, expected_balances, transfers

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """How much of everything. `rate`: of the open loop."""

    accounts: Sequence[int] = (1000, 10, 2)
    rounds: int = 3
    seconds: float = 5.0
    connections: int = 16
    rate: float = 100.0
    currency: str = "EUR"


@dataclass(slots=True)
class Measured:
    """One system over one number of accounts, all rounds."""

    name: str
    accounts: int
    per_s: list[float] = field(default_factory=list)
    open_p50_ms: list[float] = field(default_factory=list)
    open_p99_ms: list[float] = field(default_factory=list)
    closed_p99_ms: list[float] = field(default_factory=list)
    done: list[Transfer] = field(default_factory=list)
    repeats: int = 0
    unresolved: int = 0
    complaints: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ratio:
    """First system to second, by turns. Within noise: 1 lies in the band that the turns span."""

    name: str
    accounts: int
    value: float  # the median
    low: float
    high: float

    @property
    def word(self) -> str:
        return "within noise" if self.low <= 1 <= self.high else "more" if self.low > 1 else "less"


async def compete(sides: Sequence[tuple[ModuleType, str]], terms: Terms, say: Say) -> list[Measured]:
    """Every number of accounts, every round, the systems in turn; then each system's books are checked."""
    found: list[Measured] = []
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        for accounts in terms.accounts:
            run = "".join(random.choices(string.ascii_lowercase, k=8))
            contenders = []
            for adapter, url in sides:
                say(f"{adapter.NAME}: making {accounts:,} accounts")
                made = await asyncio.to_thread(adapter.prepare, caller(url), accounts, terms.currency)
                work = transfers(accounts, f"{run}-{adapter.NAME}")
                contenders.append((Side(adapter, url, made, session), adapter, url, made, work))
            measured = [Measured(side.name, accounts) for side, *_ in contenders]
            for number in range(terms.rounds + 1):  # the first, short one warms up
                seconds = terms.seconds if number else min(1.0, terms.seconds)
                turn = list(zip(contenders, measured, strict=True))
                for (side, _, _, _, work), into in turn if number % 2 else reversed(turn):
                    closed = await side.closed(work, terms.connections, seconds)
                    opened = await side.open(work, terms.rate, seconds)
                    await _book(side, into, (closed, opened), counts=number > 0)
                if number:
                    say(f"{accounts:,} accounts, round {number} of {terms.rounds}")
            for (_, adapter, url, made, _), into in zip(contenders, measured, strict=True):
                await asyncio.to_thread(_check, adapter, caller(url), made, into)
            found += measured
    return found


async def _book(side: Side, into: Measured, trials: tuple[Trial, Trial], *, counts: bool) -> None:
    closed, opened = trials
    if counts:
        into.per_s.append(closed.per_s)
        into.closed_p99_ms.append(closed.percentile_ms(0.99))
        into.open_p50_ms.append(opened.percentile_ms(0.5))
        into.open_p99_ms.append(opened.percentile_ms(0.99))
    for trial in trials:
        await side.settle(trial)
        into.done += trial.done
        into.repeats += sum(transfer.is_repeat for transfer in trial.done)
        known = {transfer.key for transfer in trial.done}
        into.unresolved += sum(transfer.key not in known for transfer in trial.unsure)


def _check(adapter: ModuleType, call: Any, made: Any, into: Measured) -> None:
    """Money is conserved, each acknowledged transfer happened, and none twice."""
    balances = adapter.balances(call, made, into.accounts)
    expected = expected_balances(iter(into.done), into.accounts)
    if into.unresolved:
        into.complaints.append(
            f"{into.unresolved} transfers were never acknowledged; balances prove nothing then"
        )
    if sum(balances):
        into.complaints.append(f"not conserved: all balances together are {sum(balances):,}")
    different = sum(got != wanted for got, wanted in zip(balances, expected, strict=True))
    if different and not into.unresolved:
        into.complaints.append(f"{different} of {into.accounts} balances differ from what was acknowledged")
    if hasattr(adapter, "count"):
        number, unique = adapter.count(call, made), len({transfer.key for transfer in into.done})
        if number != unique and not into.unresolved:
            into.complaints.append(f"{number:,} transfers of {unique:,} keys")


def ratios(found: Sequence[Measured]) -> list[Ratio]:
    """First to second system: of throughput (more is better) and of latency (less is)."""
    lines = []
    for first, second in zip(found[::2], found[1::2], strict=True):
        for name, ours, theirs in (
            ("transfers/s, closed loop", first.per_s, second.per_s),
            ("p50, open loop", first.open_p50_ms, second.open_p50_ms),
            ("p99, open loop", first.open_p99_ms, second.open_p99_ms),
        ):
            turns = [a / b for a, b in zip(ours, theirs, strict=True) if b]
            if turns:
                lines.append(Ratio(name, first.accounts, median(turns), min(turns), max(turns)))
    return lines
