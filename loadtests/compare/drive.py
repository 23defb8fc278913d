"""Send transfers to one system: as fast as it answers (closed loop), at a fixed rate whatever it does (open loop)."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import aiohttp

from loadtests.compare.work import Transfer
from loadtests.percentiles import percentile

TIMEOUT = aiohttp.ClientTimeout(total=30)
ASK_AGAIN_MAX = 20


@dataclass(slots=True)
class Trial:
    """What one loop over one system saw. Latencies in milliseconds, from the intended start in the open loop."""

    seconds: float = 0.0
    done: list[Transfer] = field(default_factory=list)
    unsure: list[Transfer] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    planned: int = 0

    @property
    def per_s(self) -> float:
        return len(self.done) / self.seconds if self.seconds else 0.0

    def percentile_ms(self, share: float) -> float:
        return percentile(sorted(self.latencies), share)


class Side:
    """One of the systems that are compared."""

    def __init__(self, adapter: ModuleType, base_url: str, made: Any, session: aiohttp.ClientSession) -> None:
        self.name = str(adapter.NAME)
        self._adapter, self._base_url, self._made, self._session = adapter, base_url, made, session

    async def closed(self, work: Iterator[Transfer], connections: int, seconds: float) -> Trial:
        """So many requests in flight, always."""
        trial, started = Trial(), time.perf_counter()

        async def one() -> None:
            while time.perf_counter() - started < seconds:
                sent = time.perf_counter()
                await self._send(next(work), trial)
                trial.latencies.append(1000 * (time.perf_counter() - sent))

        await asyncio.gather(*(one() for _ in range(connections)))
        trial.seconds = time.perf_counter() - started
        return trial

    async def open(self, work: Iterator[Transfer], rate: float, seconds: float) -> Trial:
        """One every 1/rate seconds; each waits for nobody."""
        trial, started = Trial(planned=int(rate * seconds)), time.perf_counter()

        async def one(transfer: Transfer, intended: float) -> None:
            await self._send(transfer, trial)
            trial.latencies.append(1000 * (time.perf_counter() - intended))

        async with asyncio.TaskGroup() as group:
            for number in range(trial.planned):
                intended = started + number / rate
                if (ahead := intended - time.perf_counter()) > 0:
                    await asyncio.sleep(ahead)
                group.create_task(one(next(work), intended))
        trial.seconds = time.perf_counter() - started
        return trial

    async def settle(self, trial: Trial) -> None:
        """Ask with the same keys about what got no answer, until there is one."""
        for transfer in trial.unsure:
            for _ in range(ASK_AGAIN_MAX):
                again = Trial()
                await self._send(transfer, again)
                if again.done:
                    trial.done.append(transfer)
                    break
                await asyncio.sleep(0.1)

    async def _send(self, transfer: Transfer, trial: Trial) -> None:
        method, path, headers, body = self._adapter.transfer(
            self._made, transfer.debit, transfer.credit, transfer.amount_minor, transfer.key
        )
        try:
            async with self._session.request(
                method, self._base_url + path, headers=headers, data=body
            ) as reply:
                raw = await reply.read()
        except (aiohttp.ClientError, TimeoutError):
            trial.unsure.append(transfer)
            return
        (trial.done if self._adapter.is_done(reply.status, raw) else trial.unsure).append(transfer)
