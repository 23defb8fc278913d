"""The risk engine as a client sees it: payments go together, and each falls back for its own reason only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from aiohttp import web
from simulator_rig import eventually

from payment_gateway.clients.risk import RiskClient
from payment_gateway.domain.risk import Assessment
from platform_kit import canonical, telemetry
from platform_kit.http import HttpClient

pytestmark = pytest.mark.timing

DEADLINE_S = 5.0
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Engine:
    """Answers what `answer` makes of each question, once `gate` is open."""

    def __init__(self) -> None:
        self.requests: list[list[dict[str, Any]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.status = 200
        self.answer: Callable[[dict[str, Any]], Any] = allowed
        self.left_out = 0

    async def assess(self, request: web.Request) -> web.Response:
        questions = orjson.loads(await request.read())["data"]
        self.requests.append(questions)
        await self.gate.wait()
        answers = [self.answer(question) for question in questions]
        return web.json_response({"data": answers[self.left_out :]}, status=self.status)


def allowed(question: dict[str, Any]) -> dict[str, Any]:
    made = {
        "id": f"asm_{question['assessment']['payment_id']}",
        "decision": "allow",
        "score": 3,
        "reasons": [],
    }
    return {"status": 200, "assessment": made}


@pytest.fixture
async def engine() -> Engine:
    return Engine()


@pytest.fixture
async def url(engine: Engine) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/assessments/batch", engine.assess)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    engine.gate.set()
    await runner.cleanup()


@pytest.fixture
async def http(url: str) -> AsyncIterator[HttpClient]:
    async with HttpClient("risk", url, timeout_s=DEADLINE_S, connect_timeout_s=DEADLINE_S) as client:
        yield client


def a_question(number: int) -> dict[str, Any]:
    return {"payment_id": str(number), "amount_minor": 1000, "currency": "EUR"}


def causes(assessments: list[Assessment]) -> list[str]:
    return [" ".join(reason["text"] for reason in one.reasons) for one in assessments]


async def test_payments_that_come_while_the_engine_decides_are_in_one_request(
    engine: Engine, http: HttpClient
) -> None:
    client = RiskClient(http, DEADLINE_S)
    engine.gate.clear()
    first = [asyncio.create_task(client.assess(a_question(n))) for n in range(2)]
    await eventually(lambda: len(engine.requests) == 1)
    second = asyncio.create_task(client.assess(a_question(2)))
    await eventually(lambda: len(engine.requests) == 2)
    others = [asyncio.create_task(client.assess(a_question(n))) for n in range(3, 40)]
    await asyncio.sleep(0.01)
    engine.gate.set()
    found = await asyncio.gather(*first, second, *others)
    assert [one.assessment_id for one in found] == [f"asm_{n}" for n in range(40)]
    assert [len(request) for request in engine.requests] == [2, 1, 37]


async def test_each_question_says_for_which_request_and_for_how_long(
    engine: Engine, http: HttpClient
) -> None:
    token = telemetry.enter_traceparent(TRACE)
    try:
        with canonical.line("request", request_id="req_of_the_payer"):
            await RiskClient(http, DEADLINE_S).assess(a_question(1))
    finally:
        telemetry.leave_traceparent(token)
    ((asked,),) = engine.requests
    assert asked["assessment"] == a_question(1)
    assert (asked["request_id"], asked["traceparent"]) == ("req_of_the_payer", TRACE)
    assert 0 < asked["deadline_ms"] <= 1000 * DEADLINE_S


async def test_a_refused_question_falls_back_and_its_neighbours_do_not(
    engine: Engine, http: HttpClient
) -> None:
    def answer(question: dict[str, Any]) -> dict[str, Any]:
        if question["assessment"]["payment_id"] == "1":
            return {"status": 422, "problem": {}}
        return allowed(question)

    engine.answer = answer
    client = RiskClient(http, DEADLINE_S)
    zero, one, two = await asyncio.gather(*(client.assess(a_question(n)) for n in range(3)))
    assert (zero.assessment_id, two.assessment_id) == ("asm_0", "asm_2")
    assert "status 422" in causes([one])[0]


@pytest.mark.parametrize(
    ("status", "left_out", "answer", "cause"),
    [
        (503, 0, allowed, "status 503"),
        (200, 1, allowed, "answer not understood"),
        (200, 0, lambda _: {"status": 200, "assessment": {"decision": "perhaps"}}, "answer not understood"),
        (200, 0, lambda _: "yes", "answer not understood"),
    ],
    ids=["unavailable", "one too few", "no decision of ours", "no object"],
)
async def test_an_answer_that_is_none_befalls_those_who_asked_together(
    engine: Engine, http: HttpClient, status: int, left_out: int, answer: Any, cause: str
) -> None:
    engine.status, engine.left_out, engine.answer = status, left_out, answer
    client = RiskClient(http, DEADLINE_S)
    found = await asyncio.gather(*(client.assess(a_question(n)) for n in range(3)))
    assert all(cause in one for one in causes(list(found)))
    engine.status, engine.left_out, engine.answer = 200, 0, allowed
    assert (await client.assess(a_question(4))).assessment_id == "asm_4"


async def test_who_waits_for_its_turn_gives_up_at_its_own_deadline(engine: Engine, http: HttpClient) -> None:
    client = RiskClient(http, 0.2)
    engine.gate.clear()
    found = await asyncio.gather(*(client.assess(a_question(n)) for n in range(5)))
    assert all("timeout" in cause for cause in causes(list(found)))
    engine.gate.set()
    assert (await client.assess(a_question(9))).assessment_id == "asm_9"


async def test_without_an_engine_everybody_falls_back() -> None:
    async with HttpClient(
        "risk", "http://127.0.0.1:1", timeout_s=1, connect_timeout_s=1, retries=0
    ) as nobody:
        client = RiskClient(nobody, DEADLINE_S)
        found = await asyncio.gather(*(client.assess(a_question(n)) for n in range(3)))
    assert all("refused" in cause for cause in causes(list(found)))
