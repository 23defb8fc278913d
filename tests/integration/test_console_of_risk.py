"""The console's pages of risk and webhooks over the real risk engine and the real gateway, used in a real Chromium."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from chromium import LOAD_MAX_S, Page, browser, program
from gateway_rig import ADMIN, RunningGateway, run_gateway
from looked_at import faults
from pipeline_rig import settings_for as pipeline_settings
from pydantic import SecretStr
from risk_rig import a_request
from risk_rig import settings_for as risk_settings
from running_service import SESSION, logged_in
from simulator_rig import TOKEN
from sqlalchemy import insert

from data_pipeline.app import create_pipeline
from data_pipeline.clients import service_api
from data_pipeline.clients.service_api import ServiceApi
from data_pipeline.domain.operators import Role, form_token
from payment_gateway.store.tables import outbox, webhook_attempt, webhook_delivery
from platform_cli.embedded.event_witness import INVENTED
from platform_cli.embedded.serving import serving
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.clock import isoformat
from platform_kit.ids import new_id
from platform_kit.outbox import Event, Relay, append
from risk_engine import app as risk
from risk_engine.operations.backtest_rule_set import run_backtests
from risk_engine.operations.deps import Deps as RiskDeps
from risk_engine.operations.explain_decisions import explain_decisions
from risk_engine.operations.link_payments import link_payments
from risk_engine.store import tables as risk_tables

pytestmark = pytest.mark.skipif(
    program() is None,
    reason="NO CHROMIUM on this machine: the console was not looked at by a browser (apt-get install chromium)",
)
OPERATOR = "admin-1"  # what `logged_in` calls who has the session


@dataclass
class Office:
    """The console with an operator at it, and the two services that it asks."""

    url: str
    app: Any
    risk_deps: RiskDeps
    gateway: RunningGateway
    page: Page

    async def ask(self, method: str, path: str, body: Any = None, *, who: str = "") -> Any:
        """Of the risk engine, as a service or for a person."""
        headers = {"Authorization": f"Bearer {TOKEN}"} | ({"Acting-For": who} if who else {})
        url = str(self.app.state.deps.settings.risk_url) + path
        async with self.gateway.session.request(method, url, json=body, headers=headers) as reply:
            assert reply.status < 300, await reply.text()
            return await reply.json()

    async def assess(self, number: int, **changes: Any) -> dict[str, Any]:
        request = a_request(number, merchant_id="mer_01kb0000000000000000000001", payment_id=new_id("pay"))
        request |= {"occurred_at": isoformat(datetime.now(UTC) - timedelta(seconds=5))} | changes
        made: dict[str, Any] = await self.ask("POST", "/v1/assessments", request)
        return made

    async def reviewed(self, payer: int, amount_minor: int) -> dict[str, Any]:
        """A customer who pays small amounts, and then a large one: the packaged rules want it looked at."""
        payer_is = {
            "card": f"tok_{payer}",
            "customer": {
                "id": f"cus_{payer}",
                "country": "DE",
                "ip": f"192.0.2.{payer}",
                "device_id": f"d-{payer}",
            },
        }
        for number in range(4):
            at = isoformat(datetime.now(UTC) - timedelta(hours=20 - 4 * number))
            await self.assess(
                payer * 100 + number, amount_minor=1900 + 250 * number, occurred_at=at, **payer_is
            )
        return await self.assess(payer * 100 + 50, amount_minor=amount_minor, **payer_is)

    async def linked(self) -> None:
        """What the engine's consumer does beside us: payments are linked by what they share."""
        relay = Relay(self.risk_deps.engine, risk_tables.outbox, None, "unused")  # type: ignore[arg-type]
        await relay.assign()
        while await link_payments(self.risk_deps):
            pass

    async def open(self, path: str, **options: Any) -> None:
        await self.page.open(self.url + path, **options)

    async def click(self, selector: str) -> None:
        """Click, and wait for the page that comes of it."""
        self.page._loaded.clear()
        await self.page.ask(f"document.querySelector({selector!r}).click()")
        async with asyncio.timeout(LOAD_MAX_S):
            await self.page._loaded.wait()

    async def text(self) -> str:
        return str(await self.page.ask("document.querySelector('main').innerText"))


@pytest.fixture
async def office(
    fresh_database: FreshDatabase, clean_redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Office]:
    """Everything runs; the operator is a lead of risk control, too."""
    monkeypatch.setattr(service_api, "READ_TIMEOUT_S", 30.0)  # console, engine and browser share this machine
    databases = [await fresh_database(name) for name in ("risk", "payments", "pipeline")]
    app = risk.build_app(
        risk_settings(databases[0].app_url, clean_redis_url, internal_token=SecretStr(TOKEN))
    )
    async with serving(app) as risk_url:
        deps: RiskDeps = app.state.deps
        async with asyncio.timeout(30):
            while deps.rules.publication == 0:  # noqa: ASYNC110 - the first set is published by a task beside us
                await asyncio.sleep(0.01)
        await deps.features.mark_warm()
        async with run_gateway(databases[1], tmp_path / "journals", risk_url=risk_url) as gateway:
            settings = pipeline_settings(databases[2].app_url).model_copy(
                update={
                    "gateway_url": gateway.url,
                    "risk_url": risk_url,
                    "internal_token": SecretStr(TOKEN),
                }
            )
            console = create_pipeline(settings)
            async with serving(console) as url, browser(tmp_path / "profile") as page:
                await logged_in(console.state.deps)
                await page.call("Network.setCookie", name="console", value=SESSION, url=url)
                made = Office(url, console, deps, gateway, page)
                await made.ask("POST", "/v1/staff", {"name": OPERATOR, "role": "lead"})
                await made.ask("POST", "/v1/staff", {"name": "bob", "role": "analyst"})
                yield made


async def an_endpoint_with_history(office: Office) -> str:
    """An endpoint whose receiver was away for some events and answers others; its id."""
    made = await office.gateway.post("/v1/webhook-endpoints", {"url": "https://shop.example/webhooks"})
    endpoint, now = str(made.body["id"]), datetime.now(UTC)
    history = ["delivered"] * 6 + ["dead"] * 2 + ["due"]
    async with office.gateway.deps.engine.begin() as conn:
        for number, status in enumerate(history):
            at = now - timedelta(minutes=9 * (len(history) - number))
            event = Event(
                id=new_id("evt"),
                type="payment.captured.v1",
                aggregate_id=new_id("pay"),
                data=INVENTED,
                merchant_id=office.gateway.merchant_id,
                occurred_at=at,
            )
            await append(conn, outbox, [event])
            delivery = {
                "id": new_id("dlv"),
                "endpoint_id": endpoint,
                "event_id": event.id,
                "status": status,
                "attempts": 1 if status == "delivered" else 3,
                "due_at": now + timedelta(minutes=7) if status == "due" else None,
                "last_status_code": 200 if status == "delivered" else None,
                "last_error": None if status == "delivered" else "timeout",
                "delivered_at": at if status == "delivered" else None,
                "created_at": at,
            }
            await conn.execute(insert(webhook_delivery).values(delivery))
            for attempt in range(delivery["attempts"]):
                tried = {
                    "delivery_id": delivery["id"],
                    "cycle": 1,
                    "number": attempt + 1,
                    "status_code": delivery["last_status_code"],
                    "error": delivery["last_error"],
                    "duration_ms": 84 if status == "delivered" else 10_000,
                    "ended_at": at + timedelta(seconds=5 * attempt),
                }
                await conn.execute(insert(webhook_attempt).values(tried))
    await Relay(office.gateway.deps.engine, outbox, None, "unused").assign()  # type: ignore[arg-type]
    return endpoint


async def test_a_case_is_decided_from_its_page_with_the_keyboard(office: Office) -> None:
    await office.reviewed(1, 60_000)
    await office.reviewed(2, 45_000)
    await office.open("/console/risk/queue")
    await office.click("[data-key=n]")
    first = await office.page.ask("location.pathname")
    assert "held by admin-1" in await office.text()
    for key in ("1", "a"):
        office.page._loaded.clear()
        await office.page.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        await office.page.call("Input.dispatchKeyEvent", type="keyUp", key=key)
    async with asyncio.timeout(LOAD_MAX_S):
        await office.page._loaded.wait()
    second = await office.page.ask("location.pathname")
    assert second != first, "the next case opens"
    case = await office.ask("GET", "/v1/cases/" + str(first).rpartition("/")[2])
    assert (case["verdict"], case["closed_by"]) == ("approve", OPERATOR)
    assert case["acts"][-1]["text"] == "The cardholder confirmed it."
    assert office.page.complaints == []


async def test_a_case_shows_what_speaks_for_and_against_it(office: Office) -> None:
    made = await office.reviewed(1, 60_000)
    await office.linked()
    await explain_decisions(office.risk_deps)
    case = (await office.ask("GET", "/v1/cases"))["data"][0]["id"]
    await office.open(f"/console/risk/queue/{case}", script=False)
    await office.page.call("Emulation.setScriptExecutionDisabled", value=False)
    shown = await office.text()
    assert made["reasons"][0]["text"] in shown
    assert "customer_count_30d >= 4" in shown, "the rule that fired"
    assert "4 share the card" in shown
    assert "4 share the address" in shown
    assert "The amount is high against the customer's payments" in shown, "what raised the score"


async def test_what_the_engine_refuses_is_said_on_the_page_and_what_was_typed_stays(office: Office) -> None:
    made = await office.reviewed(1, 60_000)
    taken = (await office.ask("POST", "/v1/cases/next", {}, who="bob"))["case"]
    await office.open(f"/console/risk/queue/{taken['id']}")
    await office.page.ask("document.querySelector('[data-reason]').value = 'Called the payer.'")
    await office.click("[data-key=r]")
    shown = await office.text()
    assert "Somebody else works on the case" in shown
    assert await office.page.ask("document.querySelector('[data-reason]').value") == "Called the payer."
    assert made["decision"] == "review"
    assert (await office.ask("GET", f"/v1/cases/{taken['id']}"))["status"] == "in_progress"


@pytest.mark.timeout(420)  # thirteen pages at four widths, in a browser that may share its core
async def test_pages_load_without_complaint_fit_every_width_and_are_accessible(
    office: Office, tmp_path: Path
) -> None:
    for payer, amount in ((1, 38_000), (2, 61_500), (3, 124_000), (4, 25_900)):
        await office.reviewed(payer, amount)
    for number in range(9):
        await office.assess(900 + number, card="tok_tested", amount_minor=100 + number)
    await office.linked()
    await explain_decisions(office.risk_deps)
    case = (await office.ask("POST", "/v1/cases/next", {}, who=OPERATOR))["case"]
    decision = (await office.ask("GET", "/v1/assessments?decision=review"))["data"][0]
    rule_set = (await office.ask("GET", "/v1/rule-sets"))["data"][0]["hash"]
    endpoint = await an_endpoint_with_history(office)
    alert = await an_alert(office)
    await office.ask("POST", "/v1/lists", {"name": "stolen", "type": "card"}, who=OPERATOR)
    paths = {
        "risk-queue": "/console/risk/queue",
        "risk-case": f"/console/risk/queue/{case['id']}",
        "risk-decisions": "/console/risk/decisions",
        "risk-decision": f"/console/risk/decisions/{decision['id']}",
        "risk-rules": "/console/risk/rules",
        "risk-rule-set": f"/console/risk/rules/{rule_set}",
        "risk-rule-editor": "/console/risk/rules/edit",
        "risk-lists": "/console/risk/lists",
        "risk-list": "/console/risk/lists/stolen",
        "risk-alerts": "/console/risk/alerts",
        "risk-alert": f"/console/risk/alerts/{alert}",
        "webhooks": "/console/webhooks",
        "webhook-endpoint": f"/console/webhooks/{endpoint}",
    }
    assert await faults(office.page, office.url, paths, tmp_path, widths=(1440, 390)) == []
    assert office.page.complaints == []


async def test_a_bad_rule_set_is_not_saved_and_each_fault_has_its_place(office: Office) -> None:
    await office.open("/console/risk/rules/edit")
    sets = len((await office.ask("GET", "/v1/rule-sets"))["data"])
    typed = """(() => {
        const editor = document.getElementById("document");
        const set = JSON.parse(editor.value);
        set.rules[1].when = "card_count_10m > 'ten'";
        editor.value = JSON.stringify(set, null, 2);
        return editor.value.split("\\n").findIndex((line) => line.includes("'ten'")) + 1;
    })()"""
    line = await office.page.ask(typed)
    await office.click("button[value=save]")
    shown = await office.text()
    assert f"line {line}, column" in shown
    assert "no matching overload" in shown
    assert "'ten'" in await office.page.ask("document.getElementById('document').value"), (
        "what was typed stays"
    )
    assert len((await office.ask("GET", "/v1/rule-sets"))["data"]) == sets
    await office.page.ask("document.getElementById('document').value = '{\"rules\": [,]}'")
    await office.click("button[value=check]")
    assert "line 1, column 12" in await office.text()


async def test_a_rule_set_goes_from_the_editor_to_deciding_with_two_people(office: Office) -> None:
    await office.assess(1, amount_minor=60_000)
    await office.open("/console/risk/rules/edit")
    await office.page.ask("""(() => {
        const editor = document.getElementById("document");
        const set = JSON.parse(editor.value);
        set.rules.push({id: "large", when: "amount_reference_minor > 50000", then: "review", code: "large",
                        text: "A large amount."});
        editor.value = JSON.stringify(set, null, 2);
    })()""")
    await office.click("button[value=save]")
    rule_set = str(await office.page.ask("location.pathname")).rpartition("/")[2]
    shown = await office.text()
    assert "+ new" in shown
    assert "amount_reference_minor > 50000" in shown
    await office.click("form[action$=backtest] button")
    await run_backtests(office.risk_deps)
    await office.open(f"/console/risk/rules/{rule_set}")
    shown = await office.text()
    assert "1 payment, the truth is known of 0" in shown
    assert "another lead reads what it found" in shown, "whoever saved it is not asked to approve"
    await office.ask("POST", "/v1/staff", {"name": "carl", "role": "lead"})
    await office.ask("POST", f"/v1/rule-sets/{rule_set}/approve", {"note": "read, tried"}, who="carl")
    await office.open(f"/console/risk/rules/{rule_set}")
    await office.click("form[action$=publish] button")
    assert "This is the set that decides now" in await office.text()
    history = (await office.ask("GET", "/v1/deployment/history"))["data"]
    assert (history[0]["hash"], history[0]["acted_by"]) == (rule_set, OPERATOR)


async def test_a_delivery_is_sent_again_from_the_endpoint_s_page(office: Office) -> None:
    endpoint = await an_endpoint_with_history(office)
    await office.open(f"/console/webhooks/{endpoint}?status=dead")
    event = await office.page.ask("document.querySelector('td.act input[name=event_id]').value")
    await office.click("td.act button")
    assert "1 delivery is due now" in await office.text()
    path = f"/v1/webhook-deliveries?endpoint_id={endpoint}&event_id={event}"
    (delivery,) = (await office.gateway.call("GET", path)).body["data"]
    assert (delivery["status"], delivery["cycle"]) == ("due", 2)
    log = (await office.gateway.call("GET", "/v1/admin/audit-log", token=ADMIN)).body["data"]
    assert log[0]["actor"] == {"type": "operator", "id": OPERATOR}


async def test_a_service_that_is_away_is_said_and_the_rest_is_shown(office: Office) -> None:
    deps = office.app.state.deps
    office.app.state.deps = replace(deps, risk=ServiceApi("risk", "http://127.0.0.1:9", TOKEN))
    for name in ("queue", "decisions", "rules", "lists", "alerts"):
        path = f"/console/risk/{name}"
        await office.open(path)
        assert "The risk engine does not answer" in await office.text(), path
    await office.open("/console/webhooks")
    assert "No merchant has a webhook endpoint" in await office.text()
    office.app.state.deps = deps


async def test_a_viewer_reads_and_is_offered_no_act(office: Office) -> None:
    await office.reviewed(1, 60_000)
    case = (await office.ask("GET", "/v1/cases"))["data"][0]["id"]
    await logged_in(office.app.state.deps, Role.VIEWER, "a-viewer")
    await office.page.call("Network.setCookie", name="console", value="a-viewer", url=office.url)
    await office.open(f"/console/risk/queue/{case}", script=False)
    assert await office.page.ask("document.querySelectorAll('main form[method=post]').length") == 0
    async with office.gateway.session.post(
        f"{office.url}/console/risk/queue/{case}/decide",
        data={"verdict": "approve", "reason": "No.", "form_token": form_token("a-viewer")},
        headers={"Cookie": "console=a-viewer"},
        allow_redirects=False,
    ) as refused:
        assert refused.status == 403
    assert (await office.ask("GET", f"/v1/cases/{case}"))["status"] == "open"


async def an_alert(office: Office) -> str:
    """Somebody tries cards at a merchant."""
    alert = new_id("alr")
    values = {
        "id": alert,
        "kind": "card_testing",
        "scope": "mer_01kb0000000000000000000001",
        "severity": "critical",
        "status": "firing",
        "summary": "214 cards were tried in ten minutes",
        "details": {"cards": 214, "declined_share": 0.96},
        "slot_at": datetime.now(UTC),
    }
    async with office.risk_deps.engine.begin() as conn:
        await conn.execute(insert(risk_tables.alert).values(values))
    return alert


async def test_an_alert_is_acknowledged_and_resolved_from_its_page(office: Office) -> None:
    alert = await an_alert(office)
    await office.open("/console/risk/alerts?status=firing")
    await office.click("main td a")
    assert "214 cards were tried" in await office.text()
    await office.click("form[action$=acknowledge] button")
    assert (await office.ask("GET", f"/v1/alerts/{alert}"))["acknowledged_by"] == OPERATOR
    await office.page.ask(
        "document.querySelector('textarea[name=note]').value = 'The merchant closed the form.'"
    )
    await office.click("form[action$=resolve] button")
    assert "The merchant closed the form." in await office.text()
    over = await office.ask("GET", f"/v1/alerts/{alert}")
    assert (over["status"], over["resolved_by"]) == ("resolved", OPERATOR)
    assert office.page.complaints == []


async def test_a_card_is_brought_on_a_list_and_taken_off(office: Office) -> None:
    await office.open("/console/risk/lists")
    fill = "document.querySelector('main [name={}]').value = '{}'"
    await office.page.ask(fill.format("name", "stolen"))
    await office.click("main form button")
    await office.click("main td a")
    for value in ("4111111111111111", "tok_visa_4711"):  # a card's number is no token
        await office.page.ask(fill.format("value", value))
        await office.page.ask(fill.format("reason", "report 17"))
        await office.click("form[action$=entries] button")
        entries = (await office.ask("GET", "/v1/lists/stolen/entries"))["data"]
        assert [one["value"] for one in entries] == ([value] if value.startswith("tok") else [])
    assert entries[0]["added_by"] == OPERATOR
    await office.click("td.act button")
    assert "Nobody is on it" in await office.text()
