"""Alerts over HTTP: who may see them, who may say that they are over, and what a channel shows of itself."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from alert_rig import SECRET, decided
from risk_rig import Answer, Api, eventually
from sqlalchemy import text

from risk_engine.app import build_app
from risk_engine.operations.raise_alerts import raise_alerts
from risk_engine.settings import Settings

PATH = "/v1/alerts"
CHANNELS = f"""[{{"name": "ops", "kind": "webhook", "url": "https://ops.example/SECRETPATH", "secret": "{SECRET}"}},
               {{"name": "oncall", "kind": "apprise", "url": "mailtos://u:SECRETWORD@mail.example",
                 "severities": ["critical"], "level": 1}}]"""


@pytest.fixture
async def api(risk_settings: Settings) -> AsyncIterator[Api]:
    """As the others have it, with two channels."""
    from pydantic import SecretStr

    app = build_app(risk_settings.model_copy(update={"risk_alert_channels": SecretStr(CHANNELS)}))
    async with app.router.lifespan_context(app):
        api = Api(app)
        await app.state.deps.features.mark_warm()

        async def is_ready() -> bool:
            return (await api.call("GET", "/health/ready")).status == 200

        await eventually(is_ready)
        yield api


@pytest.fixture
async def raised(api: Api) -> list[str]:
    """Two alerts: blocks, and friction at large."""
    await decided(api.deps, allow=45, block=15)
    return list(await raise_alerts(api.deps))


async def asked(api: Api, role: str, path: str, body: Any = None, name: str | None = None) -> Answer:
    """A POST by a person of this role."""
    admitted = await api.post("/v1/staff", {"name": name or role, "role": role})
    headers = {"authorization": f"Bearer {admitted.body['token']}"}
    return await api.post(path, b"" if body is None else body, **headers)


async def test_there_are_no_alerts_on_a_new_platform(api: Api) -> None:
    assert (await api.get(PATH)).body == {"data": [], "next_cursor": None}


async def test_alerts_are_listed_by_what_they_are_and_page_by_page(api: Api, raised: list[str]) -> None:
    page = (await api.get(f"{PATH}?limit=1&status=firing&severity=warning")).body
    assert [one["kind"] for one in page["data"]] == ["friction_share"]
    rest = (await api.get(f"{PATH}?cursor={page['next_cursor']}")).body
    assert ([one["id"] for one in rest["data"]], rest["next_cursor"]) == ([raised[0]], None)
    assert (await api.get(f"{PATH}?kind=card_testing")).body["data"] == []
    assert (await api.get(f"{PATH}?status=asleep")).status == 422
    assert (await api.get(f"{PATH}?cursor=alr_{'z' * 26}x")).status == 422


async def test_an_alert_is_acknowledged_and_resolved_by_people_with_their_names(
    api: Api, raised: list[str]
) -> None:
    path = f"{PATH}/{raised[0]}"
    taken = await asked(api, "analyst", f"{path}/acknowledge")
    assert (taken.status, taken.body["status"], taken.body["acknowledged_by"]) == (
        200,
        "acknowledged",
        "analyst",
    )
    other = await asked(api, "lead", f"{path}/acknowledge", {"note": "me too"})
    assert (other.status, other.body["type"]) == (409, "/problems/alert-is-taken")
    over = await asked(api, "lead", f"{path}/resolve", {"note": "A sale.\nExpected."}, name="lea")
    assert (over.status, over.body["status"], over.body["resolved_by"]) == (200, "resolved", "lea")
    record = (await api.get(path)).body
    assert [(act["act"], act["actor"], act["note"]) for act in record["acts"]] == [
        ("raised", "system:risk-engine", None),
        ("acknowledged", "analyst", None),
        ("resolved", "lea", "A sale.\nExpected."),
    ]
    assert {one["channel"] for one in record["deliveries"]} == {"ops"}
    assert (await api.get(f"{PATH}/alr_x")).status == 404


async def test_acts_of_an_earlier_release_show_the_engine_s_one_name(api: Api, raised: list[str]) -> None:
    async with api.deps.engine.begin() as conn:
        await conn.execute(
            text("""
                INSERT INTO risk.alert_act (id, alert_id, act, actor, level, at)
                SELECT 'ala_before', alert_id, act, 'risk engine', level, at FROM risk.alert_act WHERE alert_id = :id
            """),
            {"id": raised[0]},
        )
        await conn.execute(text("UPDATE risk.alert SET resolved_by = 'risk engine'"))
    record = (await api.get(f"{PATH}/{raised[0]}")).body
    assert {act["actor"] for act in record["acts"]} == {record["resolved_by"]} == {"system:risk-engine"}
    assert len(record["acts"]) == 2


async def test_a_resolution_says_why_and_holds_no_card(api: Api, raised: list[str]) -> None:
    path = f"{PATH}/{raised[0]}/resolve"
    for number, body in enumerate(
        ({}, {"note": ""}, {"note": "card 4242 4242 4242 4242"}, {"note": "x" * 1001})
    ):
        assert (await asked(api, "lead", path, body, name=f"lead{number}")).status == 422


async def test_an_auditor_reads_and_does_nothing_else(api: Api, raised: list[str]) -> None:
    refused = await asked(api, "auditor", f"{PATH}/{raised[0]}/acknowledge")
    assert (refused.status, refused.body["type"]) == (403, "/problems/not-permitted")
    assert (await api.post(f"{PATH}/{raised[0]}/acknowledge", b"")).status == 401, "services are no people"


async def test_channels_show_no_address_and_no_secret(api: Api) -> None:
    answer = await api.get("/v1/alert-channels")
    assert [(one["name"], one["level"]) for one in answer.body["data"]] == [("ops", 0), ("oncall", 1)]
    for word in (b"SECRET", b"example", SECRET.encode()):
        assert word not in answer.content


async def test_a_trial_of_a_channel_becomes_due_and_can_be_followed(api: Api) -> None:
    trial = await asked(api, "lead", "/v1/alert-channels/ops/trial")
    assert (trial.status, trial.body["status"], trial.body["alert_id"]) == (202, "due", None)
    assert (await api.get(f"/v1/alert-deliveries/{trial.body['id']}")).body == trial.body
    assert (await asked(api, "lead", "/v1/alert-channels/none/trial", name="lea")).status == 404
    assert (await asked(api, "analyst", "/v1/alert-channels/ops/trial")).status == 403
    assert (await api.get("/v1/alert-deliveries/adl_x")).status == 404
