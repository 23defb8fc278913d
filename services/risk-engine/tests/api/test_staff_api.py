"""People, their tokens, and what a role may do."""

from typing import Any

import pytest
from fastapi import Request
from risk_rig import Api, a_request

from risk_engine.api.authentication import Lead

PATH = "/v1/staff"


async def test_a_person_is_admitted_listed_and_ended(api: Api) -> None:
    made = await api.post(PATH, {"name": "ada", "role": "lead"})
    assert (made.status, made.body["role"], made.body["ended_at"]) == (201, "lead", None)
    assert made.body["token"].startswith("rsk_")
    listed = (await api.get(PATH)).body["data"]
    assert [one["name"] for one in listed] == ["ada"]
    assert "token" not in listed[0]
    ended = await api.post(f"{PATH}/{made.body['id']}/end", b"")
    assert ended.body["ended_at"] is not None
    assert (await api.post(f"{PATH}/{made.body['id']}/end", b"")).body == ended.body
    assert (await api.post(f"{PATH}/stf_x/end", b"")).status == 404


async def test_a_name_is_one_person_s_until_they_end(api: Api) -> None:
    first = (await api.post(PATH, {"name": "ada", "role": "lead"})).body
    again = await api.post(PATH, {"name": "ada", "role": "analyst"})
    assert (again.status, again.body["type"]) == (409, "/problems/name-taken")
    await api.post(f"{PATH}/{first['id']}/end", b"")
    assert (await api.post(PATH, {"name": "ada", "role": "analyst"})).status == 201


@pytest.mark.parametrize(
    "body", [{"name": "Ada B", "role": "lead"}, {"name": "ada", "role": "boss"}, {"name": "ada"}, {}]
)
async def test_a_strange_name_or_role_is_refused(api: Api, body: dict[str, Any]) -> None:
    assert (await api.post(PATH, body)).status == 422


async def test_a_route_for_leads_refuses_others_by_name_of_the_role(api: Api) -> None:
    @api.app.get("/lead-only")
    async def lead_only(request: Request, actor: Lead) -> dict[str, str]:
        return {"name": actor.name}

    lead = (await api.post(PATH, {"name": "ada", "role": "lead"})).body
    analyst = (await api.post(PATH, {"name": "bob", "role": "analyst"})).body

    async def asked_by(token: str) -> Any:
        return await api.get("/lead-only", authorization=f"Bearer {token}")

    assert (await asked_by(lead["token"])).body == {"name": "ada"}
    refused = await asked_by(analyst["token"])
    assert (refused.status, refused.body["type"]) == (403, "/problems/not-permitted")
    assert "yours is analyst" in refused.body["detail"]
    assert (await asked_by("rsk_guessed")).status == 401
    assert (await api.get("/lead-only")).status == 401, "the services' token is no person"

    await api.post(f"{PATH}/{lead['id']}/end", b"")
    api.deps.known_staff.clear()  # a second later
    assert (await asked_by(lead["token"])).status == 401


async def test_every_role_reads_and_none_of_them_assesses(api: Api) -> None:
    token = (await api.post(PATH, {"name": "eve", "role": "auditor"})).body["token"]
    for path in ("/v1/assessments", "/v1/alerts"):
        assert (await api.get(path, authorization=f"Bearer {token}")).status == 200
        assert (await api.get(path, authorization="Bearer rsk_guessed")).status == 401
    assert (await api.post("/v1/assessments", a_request(), authorization=f"Bearer {token}")).status == 401
