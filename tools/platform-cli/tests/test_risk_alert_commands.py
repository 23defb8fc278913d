"""`platform risk alerts` as a person types it, against a real engine and a receiver that hears."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from platform_cli.embedded.testing import FreshDatabase

sys.path.insert(0, str(Path(__file__).parents[3] / "services/risk-engine/tests"))

from alert_rig import Receiver, a_webhook, decided, receiving
from risk_rig import Api, eventually, settings_for, typed

from platform_cli.embedded.serving import serving
from risk_engine.app import build_app
from risk_engine.operations.deliver_alerts import deliver_alerts
from risk_engine.operations.deps import Deps
from risk_engine.operations.raise_alerts import raise_alerts


@dataclass
class Engine:
    """A running engine, the token of a lead, and the receiver of its only channel."""

    url: str
    token: str
    deps: Deps
    receiver: Receiver

    async def platform(self, *words: str, token: str | None = None) -> tuple[int, str, str]:
        """Exit code, output and errors of one command."""
        return await typed(self.url, self.token if token is None else token, "alerts", *words)


@pytest.fixture
async def engine(fresh_database: FreshDatabase, clean_redis_url: str) -> AsyncIterator[Engine]:
    database = await fresh_database("risk")
    async with receiving(Receiver()) as receiver:
        channels = SecretStr(json.dumps([a_webhook(url=receiver.url)]))
        app = build_app(settings_for(database.app_url, clean_redis_url, risk_alert_channels=channels))
        async with app.router.lifespan_context(app):
            api = Api(app)

            async def is_ready() -> bool:
                return (await api.call("GET", "/health/ready")).status == 200

            await eventually(is_ready)
            await api.deps.features.mark_warm()
            lead = (await api.post("/v1/staff", {"name": "ada", "role": "lead"})).body["token"]
            async with serving(app, lifespan="off") as url:
                yield Engine(url, lead, api.deps, receiver)


async def test_an_alert_is_listed_taken_and_resolved(engine: Engine) -> None:
    assert (await engine.platform("list"))[1].strip() == "no alerts"
    await decided(engine.deps, allow=45, block=15)
    alert, _ = await raise_alerts(engine.deps)
    code, out, _ = await engine.platform("list", "--status", "firing", "--kind", "block_share", token="")
    assert (code, alert in out, "25.0% of payments are blocked" in out) == (0, True, True)

    code, _, err = await engine.platform("ack", alert, token="")
    assert (code, "RISK_STAFF_TOKEN" in err) == (2, True)
    assert (await engine.platform("ack", alert, "--note", "looking"))[
        1
    ].strip() == f"{alert} is acknowledged by ada"
    assert (await engine.platform("resolve", alert, "--note", "a sale"))[
        1
    ].strip() == f"{alert} is resolved by ada"
    code, _, err = await engine.platform("resolve", alert, "--note", "again")
    assert (code, "It was resolved by ada before." in err) == (1, True)
    shown = (await engine.platform("show", alert))[1]
    assert "resolved by ada  a sale" in shown
    assert json.loads((await engine.platform("show", alert, "--json"))[1])["status"] == "resolved"


@pytest.mark.parametrize(("status", "code"), [(204, 0), (500, 1)])
async def test_a_channel_is_tried(engine: Engine, status: int, code: int) -> None:
    engine.receiver.status = status
    assert "ops" in (await engine.platform("channels"))[1]
    trying = asyncio.create_task(engine.platform("test-channel", "ops"))
    while not engine.receiver.heard:
        await deliver_alerts(engine.deps)
        await asyncio.sleep(0.05)
    found, out, err = await trying
    assert (found, engine.receiver.types) == (code, ["risk.alert.trial"])
    assert ("took the message" in out) if code == 0 else ("did not take it: status-500" in err)


async def test_a_channel_that_is_not_there_is_told(engine: Engine) -> None:
    code, _, err = await engine.platform("test-channel", "none")
    assert (code, "No channel has this name" in err) == (1, True)
