"""`platform risk cases` as a person types it, against a real engine."""

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from platform_cli.embedded.testing import FreshDatabase

sys.path.insert(0, str(Path(__file__).parents[3] / "services/risk-engine/tests"))

from risk_rig import Api, a_subject, an_assessment, eventually, settings_for, typed

from platform_cli.embedded.serving import serving
from risk_engine.app import build_app
from risk_engine.domain.decision import Decision
from risk_engine.operations.deps import Deps
from risk_engine.store.assessment_flush import flush, new_row


@dataclass
class Engine:
    """A running engine, and an analyst's token."""

    url: str
    token: str
    deps: Deps

    async def platform(self, *words: str, token: str | None = None) -> tuple[int, str, str]:
        """Exit code, output and errors of one command."""
        return await typed(self.url, self.token if token is None else token, "cases", *words)


@pytest.fixture
async def engine(fresh_database: FreshDatabase, clean_redis_url: str) -> AsyncIterator[Engine]:
    database = await fresh_database("risk")
    app = build_app(settings_for(database.app_url, clean_redis_url))
    async with app.router.lifespan_context(app):
        api = Api(app)

        async def is_ready() -> bool:
            return (await api.call("GET", "/health/ready")).status == 200

        await eventually(is_ready)
        token = (await api.post("/v1/staff", {"name": "ada", "role": "analyst"})).body["token"]
        async with serving(app, lifespan="off") as url:
            yield Engine(url, token, api.deps)


async def reviewed(engine: Engine, *numbers: int) -> None:
    """Reviewed payments, each of a payer of its own."""
    subjects = [a_subject(n, card=f"c{n}", customer_id=f"x{n}") for n in numbers]
    made = [new_row(an_assessment(subject=one, degraded=()), float("inf")) for one in subjects]
    async with engine.deps.engine.begin() as conn:
        await flush(conn, made)


async def test_a_case_is_taken_up_noted_and_decided(engine: Engine) -> None:
    assert (await engine.platform("list"))[1].strip() == "nothing waits"
    assert (await engine.platform("next"))[1].strip() == "nothing waits"
    await reviewed(engine, 1, 2)
    code, out, _ = await engine.platform("list", token="")
    assert (code, out.count("cas_")) == (0, 2), "reading takes no person"
    code, out, _ = await engine.platform("next")
    case_id = out.split()[0]
    assert (code, "12.50 EUR" in out, "A sentence." in out) == (0, True, True)
    assert (await engine.platform("note", case_id, "No answer."))[0] == 0
    code, out, _ = await engine.platform("reject", case_id, "--reason", "Stolen card.")
    assert (code, out.strip()) == (0, f"{case_id} is closed: reject by ada")
    _, out, _ = await engine.platform("show", case_id)
    assert "noted by ada  No answer." in out
    assert "decided by ada  Stolen card." in out
    code, _, refused = await engine.platform("approve", case_id, "--reason", "x")
    assert (code, "The case is closed" in refused) == (1, True)
    _, out, _ = await engine.platform("list", "--status", "closed", "--json")
    assert [(one["id"], one["verdict"]) for one in json.loads(out)] == [(case_id, "reject")]
    code, out, _ = await engine.platform("next")
    assert out.split()[0] != case_id
    assert (await engine.platform("release", out.split()[0]))[0] == 0


async def test_an_appeal_is_written_down_shown_and_granted(engine: Engine) -> None:
    made = an_assessment(subject=a_subject(1), decision=Decision.BLOCK, degraded=())
    async with engine.deps.engine.begin() as conn:
        await flush(conn, [new_row(made, float("inf"))])
    asked = ("appeal", made.id, "--by", "cardholder", "--reason", "A customer of ten years.")
    code, out, _ = await engine.platform(*asked)
    assert (code, "is open" in out) == (0, True)
    _, out, _ = await engine.platform("list")
    assert out.split().count("appeal") == 1
    _, out, _ = await engine.platform("next")
    assert "appeal of the cardholder: A customer of ten years." in out
    assert (await engine.platform("approve", out.split()[0], "--reason", "Known to the merchant."))[0] == 0
    code, out, _ = await engine.platform(*asked)
    assert (code, "is granted" in out) == (0, True), "the answer is final"


async def test_deciding_takes_a_person(engine: Engine) -> None:
    code, _, told = await engine.platform("next", token="")
    assert (code, "RISK_STAFF_TOKEN" in told) == (2, True)
