"""Calls that go together: who waits for whom, and who gets whose answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from platform_kit import canonical
from platform_kit.together import Together

PATIENCE_S = 10.0


class Line:
    """Doubles each number, in round trips that a test lets pass; -1 fails alone, -2 everybody."""

    def __init__(self) -> None:
        self.trips: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.lines: list[object] = []

    async def send(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.trips.append(list(numbers))
        self.lines.append(canonical.get("of"))
        await self.gate.wait()
        if -2 in numbers:
            raise OSError("the line is cut")
        return [ValueError("not this one") if number == -1 else 2 * number for number in numbers]


async def gathered(calls: Together[int, int], *numbers: int) -> list[int | BaseException]:
    return await asyncio.gather(*(calls.call(n, PATIENCE_S) for n in numbers), return_exceptions=True)


async def test_who_is_alone_waits_for_nobody_and_who_comes_meanwhile_goes_together() -> None:
    line = Line()
    calls = Together(line.send, batch_max=3)
    line.gate.clear()
    first = asyncio.create_task(calls.call(1, PATIENCE_S))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = asyncio.create_task(gathered(calls, 2, 3, 4, 5))
    for _ in range(3):
        await asyncio.sleep(0)
    assert line.trips == [[1]]
    line.gate.set()
    assert await first == 2
    assert await others == [4, 6, 8, 10]
    assert line.trips == [[1], [2, 3, 4], [5]]
    assert await calls.call(6, PATIENCE_S) == 12  # after everything was quiet


async def test_another_lane_takes_who_would_wait() -> None:
    line = Line()
    calls = Together(line.send, batch_max=8, lanes=2)
    line.gate.clear()
    waiting = []
    for number in (1, 2, 3):
        waiting.append(asyncio.create_task(calls.call(number, PATIENCE_S)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert line.trips == [[1], [2]]
    line.gate.set()
    assert await asyncio.gather(*waiting) == [2, 4, 6]


async def test_an_error_in_the_place_of_an_answer_is_that_caller_s_alone() -> None:
    results = await gathered(Together(Line().send, batch_max=8), 1, -1, 3)
    assert (results[0], results[2]) == (2, 6)
    assert isinstance(results[1], ValueError)


async def test_a_round_trip_that_fails_befalls_all_who_were_in_it_and_nobody_after() -> None:
    calls = Together(Line().send, batch_max=8)
    assert [type(result) for result in await gathered(calls, 1, -2)] == [OSError, OSError]
    assert await calls.call(3, PATIENCE_S) == 6


async def test_who_loses_patience_is_not_sent_and_keeps_nobody_waiting() -> None:
    line = Line()
    calls = Together(line.send, batch_max=8)
    line.gate.clear()
    first = asyncio.create_task(calls.call(1, PATIENCE_S))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await calls.call(2, 0.01)
    third = asyncio.create_task(calls.call(3, PATIENCE_S))
    await asyncio.sleep(0)
    line.gate.set()
    assert (await first, await third) == (2, 6)
    assert line.trips == [[1], [3]]


async def test_a_round_trip_belongs_to_nobody_s_request() -> None:
    line = Line()
    calls = Together(line.send, batch_max=8)
    with canonical.line("request", of="the first") as fields:
        await calls.call(1, PATIENCE_S)
    assert (fields["of"], line.lines) == ("the first", [None])
