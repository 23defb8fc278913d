"""`platform risk staff|rules|lists|replay|verify` as people type them, against a real engine."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from platform_cli.embedded.testing import FreshDatabase
from platform_kit.outbox import Relay

sys.path.insert(0, str(Path(__file__).parents[3] / "services/risk-engine/tests"))

from risk_rig import Api, a_request, eventually, settings_for, typed

from platform_cli.embedded.serving import serving
from risk_engine.app import build_app
from risk_engine.clients.rule_files import PACKAGED
from risk_engine.operations.backtest_rule_set import run_backtests
from risk_engine.operations.chain_assessments import chain_assessments
from risk_engine.store import tables

STRICT = """
[[rules]]
id = "stolen_card"
when = 'list_stolen || amount_minor > 900'
then = "block"
code = "stolen_card"
text = "The card was reported stolen."
"""


@dataclass
class Engine:
    """A running engine and the tokens of its people."""

    url: str
    api: Api
    tokens: dict[str, str]

    async def platform(self, *words: str, by: str = "") -> tuple[int, str, str]:
        """Exit code, output and errors of one command."""
        return await typed(self.url, self.tokens.get(by, ""), *words)

    async def done(self, *words: str, by: str = "") -> str:
        """Output of a command that must succeed."""
        code, said, errors = await self.platform(*words, by=by)
        assert code == 0, f"{words}: {said}\n{errors}"
        return said


@pytest.fixture
async def engine(fresh_database: FreshDatabase, clean_redis_url: str) -> AsyncIterator[Engine]:
    database = await fresh_database("risk")
    app = build_app(settings_for(database.app_url, clean_redis_url))
    async with app.router.lifespan_context(app):
        api = Api(app)

        async def is_ready() -> bool:
            return (await api.call("GET", "/health/ready")).status == 200

        await eventually(is_ready)
        async with serving(app, lifespan="off") as url:
            made = Engine(url, api, {})
            for name, role in (("ada", "lead"), ("bob", "analyst")):
                said = await made.done("staff", "admit", name, "--role", role, "--json")
                made.tokens[name] = json.loads(said)["token"]
            yield made


async def test_a_rule_set_goes_from_a_file_to_deciding_and_back(engine: Engine, tmp_path: Path) -> None:
    await engine.api.post("/v1/assessments", a_request(1))
    file = tmp_path / "strict.toml"
    file.write_text(
        PACKAGED.read_text(encoding="utf-8").replace('name = "default"', 'name = "strict"') + STRICT
    )
    code, _, errors = await engine.platform("rules", "check", str(file), by="bob")
    assert code == 1
    assert "stolen_card: at 1:1: unknown fact or function 'list_stolen'" in errors
    await engine.done("lists", "make", "stolen", "--type", "card", by="bob")
    assert "all sound" in await engine.done("rules", "check", str(file), by="bob")

    short = (await engine.done("rules", "save", str(file), by="bob")).split()[0]
    code, _, errors = await engine.platform("rules", "publish", short, by="ada")
    assert (code, "not approved" in errors) == (1, True)
    worker = asyncio.create_task(work(engine))
    tried = await engine.done("rules", "backtest", short, "--curve", by="bob")
    assert "1 judged more severely" in tried
    assert "stop from score" in tried
    worker.cancel()
    shown = await engine.done("rules", "report", short, "--curve")
    assert "asked for by bob" in shown
    assert "1 judged more severely" in shown
    assert "stop from score" in shown
    for without in ("report - 'curve'", "report || '{\"curve\": null}'"):  # as an earlier release stored it
        async with engine.api.deps.engine.begin() as conn:
            await conn.execute(text(f"UPDATE risk.backtest SET report = {without}"))
        shown = await engine.done("rules", "report", short, "--curve")
        assert "1 judged more severely" in shown
        assert "no curve: this report is of an earlier release" in shown
    code, _, errors = await engine.platform("rules", "report", "0" * 64)
    assert (bool(code), "No backtest of" in errors) == (True, True)
    assert "approved by ada; it was saved by bob" in await engine.done("rules", "approve", short, by="ada")
    assert "deciding 50 %" in await engine.done("rules", "trial", short, "--share", "50", by="ada")
    assert "not simply allowed" in await engine.done("rules", "trial")
    assert "decides now" in await engine.done("rules", "publish", short, by="ada")
    assert "strict" in await engine.done("rules", "list")
    assert "decides now" in await engine.done("rules", "rollback", by="ada")
    acts = [one["act"] for one in json.loads(await engine.done("rules", "history", "--json"))]
    assert acts == ["rollback", "publish", "trial", "publish"]
    assert json.loads(await engine.done("rules", "show", short))["name"] == "strict"


async def work(engine: Engine) -> None:
    """The worker's part."""
    while True:
        await run_backtests(engine.api.deps)
        await asyncio.sleep(0.1)


async def test_a_list_is_filled_from_a_file_and_written_to_one(engine: Engine, tmp_path: Path) -> None:
    await engine.done("lists", "make", "bad_mail", "--type", "email", "--note", "Seen before.", by="bob")
    file = tmp_path / "bad.csv"
    file.write_text("value,reason\neve@example.com,Fraud.\nnobody,Typo.\nmal@example.com,Fraud.\n")
    code, said, errors = await engine.platform("lists", "import", "bad_mail", str(file), by="bob")
    assert (code, "2 added" in said, "1 refused" in said) == (1, True, True)
    assert "'nobody': not the value of a list of type email" in errors
    exported = await engine.done("lists", "export", "bad_mail")
    assert exported.splitlines() == [
        "value,reason,expires_at",
        "mal@example.com,Fraud.,",
        "eve@example.com,Fraud.,",
    ]
    entries = json.loads(await engine.done("lists", "entries", "bad_mail", "--json"))
    await engine.done("lists", "remove", "bad_mail", str(entries[0]["id"]), by="bob")
    assert "bob" in await engine.done("lists", "entries", "bad_mail", "--all")
    assert "it has met nobody" in await engine.done("lists", "hits", "bad_mail")
    code, _, errors = await engine.platform("lists", "import", "bad_mail", str(PACKAGED), by="bob")
    assert (code, "names the columns" in errors) == (2, True)


async def test_decisions_are_replayed_and_their_chain_verified(engine: Engine) -> None:
    for number in range(5):
        await engine.api.post("/v1/assessments", a_request(number))
    deps = engine.api.deps
    await Relay(deps.engine, tables.outbox, deps.redis, "events:risk").run_once()
    await chain_assessments(deps)
    replayed = json.loads(await engine.done("replay", "--json"))
    assert (replayed["replayed"], replayed["identical"], replayed["differences"]) == (5, 5, [])
    assert "5 identical" in await engine.done("replay")
    assert "the chain of 5 assessments holds" in await engine.done("verify")


async def test_who_may_not_or_says_nothing_useful_is_told_so(engine: Engine, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("rules = [")
    for words, by, code, told in (
        (("rules", "rollback"), "bob", 1, "It takes the role lead; yours is analyst."),
        (("rules", "rollback"), "", 2, "platform risk staff admit"),
        (("rules", "check", str(broken)), "bob", 2, "is no TOML"),
        (("rules", "publish", "ffff"), "ada", 2, "No rule sets begin with 'ffff'"),
        (("lists", "entries", "nope"), "ada", 1, "No list has this name."),
        (("staff", "admit", "ada"), "", 1, "Somebody has this name already"),
    ):
        found, _, errors = await engine.platform(*words, by=by)
        assert (found, told in errors) == (code, True), (words, errors)
    assert "ada" in await engine.done("staff", "list")
