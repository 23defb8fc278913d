"""The quarantine's routes: pages by key, a sample, replay and discard with a name, and nobody without the token."""

from __future__ import annotations

from typing import Any

import pytest
from pipeline_rig import TOKEN, a_payment, a_sale, an_event, ingest, rows, scalar
from running_service import Service, employ
from sqlalchemy import text

HEADERS = {"Authorization": f"Bearer {TOKEN}"}
ADA = {"Acting-For": "ada"}


@pytest.fixture(autouse=True)
async def _operators(service: Service) -> None:
    await employ(service.deps, ada="operator", finn="finance")


@pytest.fixture
async def set_aside(service: Service) -> list[int]:
    """Five events of a type that nobody knew then; three of them are of one that this release knows."""
    for position in range(1, 6):
        await ingest(service.deps.engine, [an_event(position, f"payment.teleported.v{position % 2}")])
    async with service.deps.engine.begin() as conn:
        await conn.execute(
            text(
                "UPDATE pipeline.quarantine SET payload = replace(payload, 'payment.teleported.v1',"
                " 'payment.captured.v1') WHERE type = 'payment.teleported.v1'"
            )
        )
    return [row["id"] for row in await rows(service.deps.engine, "quarantine", "id")]


async def get(service: Service, path: str, status: int = 200) -> Any:
    return await service.get(f"/v1/quarantine{path}", status, headers=HEADERS)


async def test_pages_follow_one_another_by_key(service: Service, set_aside: list[int]) -> None:
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = await get(service, f"?state=open&limit=2&after={after}")
        seen += [row["id"] for row in page["data"]]
        after = page["next_after"]
        await service.post("/v1/quarantine/discard", {"reason": "x", "ids": seen[:1]}, headers=ADA)
    assert seen == set_aside
    assert [row["owner"] for row in page["data"]] == ["payment-gateway"]


async def test_filters_choose(service: Service, set_aside: list[int]) -> None:
    of_type = await get(service, "?type=payment.teleported.v1")
    assert [row["position"] for row in of_type["data"]] == [1, 3, 5]
    ranged = await get(service, "?stream=events:payments&first_position=2&last_position=3")
    assert [row["position"] for row in ranged["data"]] == [2, 3]
    assert (await get(service, "?fault=contract_violation"))["data"] == []


async def test_one_shows_the_event_as_received(service: Service, set_aside: list[int]) -> None:
    one = await get(service, f"/{set_aside[1]}")
    assert one["fault"] == "unknown_type"
    assert a_payment(2)["id"] in one["payload"]
    await get(service, "/999999", 404)


async def test_a_replay_says_what_became_of_each(service: Service, set_aside: list[int]) -> None:
    status, done = await service.post("/v1/quarantine/replay", {"all": True}, headers=ADA)
    assert status == 200
    assert [one["outcome"] for one in done["data"]] == ["applied", "refused", "applied", "refused", "applied"]
    assert done["remaining"] == 0
    assert await scalar(service.deps.engine, "SELECT count(*) FROM pipeline.fact_payment") == 3
    assert (await get(service, "?state=replayed"))["data"][0]["resolved_by"] == "ada"
    _, again = await service.post("/v1/quarantine/replay", {"ids": set_aside}, headers=ADA)
    assert [one["outcome"] for one in again["data"]] == ["not_open", "refused"] * 2 + ["not_open"]


@pytest.mark.parametrize(
    ("path", "body", "by"),
    [
        ("replay", {}, ADA),
        ("replay", {"ids": []}, ADA),
        ("replay", {"actor": "ada", "all": True}, ADA),
        ("replay", {"all": True}, {}),
        ("replay", {"all": True}, {"Acting-For": ""}),
        ("discard", {"all": True}, ADA),
        ("discard", {"all": True, "reason": ""}, ADA),
        ("discard", {"reason": "because"}, ADA),
    ],
)
async def test_what_does_not_say_who_which_or_why_is_refused(
    service: Service, set_aside: list[int], path: str, body: dict[str, Any], by: dict[str, str]
) -> None:
    status, _ = await service.post(f"/v1/quarantine/{path}", body, headers=by)
    assert status == 422
    assert {row["state"] for row in await rows(service.deps.engine, "quarantine")} == {"open"}


@pytest.mark.parametrize(
    ("by", "why"), [("eve", "no enabled operator"), ("finn", "The role finance may not")]
)
@pytest.mark.parametrize("path", ["quarantine/replay", "quarantine/discard", "replays"])
async def test_only_an_operator_who_may_replay_does(
    service: Service, set_aside: list[int], path: str, by: str, why: str
) -> None:
    body = {"reason": "x"} | ({} if path == "replays" else {"all": True})
    status, problem = await service.post(f"/v1/{path}", body, headers={"Acting-For": by})
    assert (status, problem["type"]) == (403, "/problems/may-not-act")
    assert why in problem["detail"]
    assert {row["state"] for row in await rows(service.deps.engine, "quarantine")} == {"open"}


@pytest.mark.parametrize("path", ["", "/1"])
async def test_nobody_reads_without_the_token(service: Service, set_aside: list[int], path: str) -> None:
    await service.get(f"/v1/quarantine{path}", 401, token="")


@pytest.mark.parametrize("path", ["replay", "discard"])
async def test_nobody_acts_without_the_token(service: Service, set_aside: list[int], path: str) -> None:
    body = {"reason": "x", "all": True}
    status, _ = await service.post(f"/v1/quarantine/{path}", body, token="guess", headers=ADA)
    assert status == 401
    await ingest(service.deps.engine, [a_sale(6)])
    assert {row["state"] for row in await rows(service.deps.engine, "quarantine")} == {"open"}
