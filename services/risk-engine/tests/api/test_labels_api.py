"""Labels over HTTP: uploaded with an answer for each, read as they were known at a time."""

from typing import Any

import pytest
from risk_rig import Answer, Api, a_request

PATH = "/v1/labels"


@pytest.fixture
async def token(api: Api) -> str:
    """An analyst's."""
    return str((await api.post("/v1/staff", {"name": "ada", "role": "analyst"})).body["token"])


async def upload(api: Api, token: str, *items: dict[str, Any]) -> Answer:
    return await api.post(PATH, {"data": list(items)}, authorization=f"Bearer {token}")


def a_label(number: int = 1, **changes: Any) -> dict[str, Any]:
    label = {
        "payment_id": f"pay_{number}",
        "kind": "fraud",
        "event_at": "2026-11-01T00:00:00Z",
        "labelled_at": "2026-11-05T00:00:00Z",
    }
    return label | changes


async def test_each_of_a_batch_has_an_answer_of_its_own(api: Api, token: str) -> None:
    assessment = (await api.post("/v1/assessments", a_request(7))).body["id"]
    answer = await upload(
        api,
        token,
        a_label(1),
        a_label(2, kind="perhaps"),
        a_label(3, labelled_at="2026-10-01T00:00:00Z"),
        a_label(4, event_at="2999-01-01T00:00:00Z", labelled_at=None),
        a_label(5, more=1),
        a_label(6, assessment_id=assessment),
        a_label(7, assessment_id=assessment),
        a_label(8, payment_id="4111111111111111 "),
    )
    assert answer.status == 200
    told = [(one["status"], one.get("problem", {}).get("type")) for one in answer.body["data"]]
    assert told == [
        (201, None),
        (422, "/problems/invalid-request"),
        (422, "/problems/invalid-time"),
        (422, "/problems/invalid-time"),
        (422, "/problems/unknown-field"),
        (422, "/problems/another-payment"),
        (201, None),
        (422, "/problems/invalid-request"),
    ]
    again = await upload(api, token, a_label(1), a_label(7, assessment_id=assessment))
    assert [one["status"] for one in again.body["data"]] == [200, 200], "repeating is harmless"
    listed = (await api.get(PATH)).body["data"]
    assert [(one["payment_id"], one["actor"]) for one in listed] == [("pay_1", "ada"), ("pay_7", "ada")]
    assert listed[1]["payment_at"] == "2026-11-23T02:00:00.000000Z"


async def test_what_was_not_known_at_a_time_is_not_told(api: Api, token: str) -> None:
    await upload(api, token, a_label(1), a_label(2, labelled_at="2026-11-09T00:00:00Z"))
    await upload(api, token, a_label(1, kind="legitimate", labelled_at="2026-11-12T00:00:00Z"))

    async def known(at: str) -> list[tuple[str, str]]:
        return [
            (one["payment_id"], one["kind"]) for one in (await api.get(f"{PATH}?known_at={at}")).body["data"]
        ]

    assert await known("2026-11-04T00:00:00Z") == []
    assert await known("2026-11-05T00:00:00Z") == [("pay_1", "fraud")]
    assert await known("2026-11-10T00:00:00Z") == [("pay_1", "fraud"), ("pay_2", "fraud")]
    assert await known("2026-11-13T00:00:00Z") == [("pay_2", "fraud"), ("pay_1", "legitimate")]


async def test_pages_and_filters(api: Api, token: str) -> None:
    await upload(api, token, *(a_label(n) for n in range(5)))
    first = (await api.get(f"{PATH}?limit=3")).body
    rest = (await api.get(f"{PATH}?limit=3&cursor={first['next_cursor']}")).body
    assert [one["payment_id"] for one in first["data"] + rest["data"]] == [f"pay_{n}" for n in range(5)]
    assert rest["next_cursor"] is None
    assert len((await api.get(f"{PATH}?payment_id=pay_2")).body["data"]) == 1
    assert (await api.get(f"{PATH}?source=dispute")).body["data"] == []
    assert (await api.get(f"{PATH}?known_at=yesterday")).status == 422
    assert (await api.get(f"{PATH}?known_at=0001-01-01T00:00:00%2B14:00")).status == 422


async def test_people_upload_and_services_read(api: Api, token: str) -> None:
    auditor = (await api.post("/v1/staff", {"name": "eve", "role": "auditor"})).body["token"]
    assert (await upload(api, auditor, a_label())).status == 403
    assert (await api.post(PATH, {"data": [a_label()]})).status == 401
    assert (await api.get(PATH, authorization=f"Bearer {auditor}")).status == 200
    assert (await upload(api, token)).status == 422
    assert (await upload(api, token, *(a_label(n) for n in range(1001)))).status == 422
