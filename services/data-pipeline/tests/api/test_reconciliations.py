"""Reconciliation over HTTP: who may run it, what comes back, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pipeline_rig import TODAY, World, a_line, a_sale, ingest, rows
from running_service import Service

RUN = {"date": TODAY.isoformat(), "channel": "card_sim"}


async def test_a_run_answers_with_its_totals_and_breaks(service: Service, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1), a_sale(2)])
    world.heads["gateway"] = 2
    world.settle([a_line(1), a_line(2, amount_minor=1), a_line(3)])

    status, run = await service.post("/v1/reconciliations", RUN)

    assert status == 201
    assert (run["state"], run["channel"], run["day"], run["matched_count"]) == (
        "broken",
        "card_sim",
        "2026-11-23",
        1,
    )
    assert sorted(one["break_class"] for one in run["breaks"]) == ["amount_differs", "missing_in_ledger"]
    assert run["totals"][0]["currency"] == "EUR"
    listed = (await service.get("/v1/reconciliations?date=2026-11-23"))["data"]
    assert [one["id"] for one in listed] == [run["id"]]
    assert listed[0]["breaks"] == run["breaks"]
    assert await service.get(f"/v1/reconciliations/{run['id']}") == run


async def test_a_refused_file_is_a_result(service: Service, world: World) -> None:
    world.files["card_sim", TODAY] = b"\xef\xbb\xbfchannel"
    status, run = await service.post("/v1/reconciliations", RUN)
    assert (status, run["state"], run["fault"]) == (201, "refused", "byte_order_mark")
    assert "byte-order mark" in run["fault_detail"]


async def test_the_list_can_be_narrowed_to_a_channel(service: Service) -> None:
    for channel in ("card_sim", "wallet_sim"):
        assert (await service.post("/v1/reconciliations", RUN | {"channel": channel}))[0] == 201
    narrowed = (await service.get("/v1/reconciliations?channel=wallet_sim"))["data"]
    assert [run["channel"] for run in narrowed] == ["wallet_sim"]


@pytest.mark.parametrize("token", ["", "wrong", "internal-tesT"])
async def test_only_the_platform_may_start_a_run(service: Service, token: str) -> None:
    status, problem = await service.post("/v1/reconciliations", RUN, token=token)
    assert (status, problem["type"]) == (401, "/problems/unauthenticated")
    assert await rows(service.deps.engine, "reconciliation_run") == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"date": "2026-11-23"}, "missing-field"),
        ({"channel": "card_sim"}, "missing-field"),
        (RUN | {"force": True}, "unknown-field"),
        (RUN | {"date": "23.11.2026"}, "invalid-request"),
        (RUN | {"date": 20261123}, "invalid-request"),
        (RUN | {"channel": "Card Sim"}, "invalid-request"),
        (RUN | {"channel": ""}, "invalid-request"),
        (RUN | {"channel": "other_sim"}, "unknown-channel"),
        (RUN | {"date": "2026-11-24"}, "day-in-future"),
        ([], "invalid-request"),
    ],
)
async def test_a_bad_request_is_refused_in_words_and_nothing_is_written(
    service: Service, body: Any, code: str
) -> None:
    status, problem = await service.post("/v1/reconciliations", body)
    assert (status, problem["type"]) == (422, f"/problems/{code}")
    assert await rows(service.deps.engine, "reconciliation_run") == []
    assert await rows(service.deps.engine, "settlement_file") == []


@pytest.mark.parametrize(
    ("raw", "content_type", "status"),
    [
        (b'{"date": "2026-11-23", "channel": "card_sim", "channel": "wallet_sim"}', "application/json", 400),
        (b'{"date": NaN}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"", "application/json", 422),
        (b"date=2026-11-23", "application/x-www-form-urlencoded", 415),
        (b'{"date": "' + b"2" * 70_000 + b'"}', "application/json", 413),
    ],
)
async def test_a_body_that_is_not_one_json_text_is_refused(
    service: Service, raw: bytes, content_type: str, status: int
) -> None:
    answered, problem = await service.post(
        "/v1/reconciliations", json=None, data=raw, headers={"Content-Type": content_type}
    )
    assert (answered, problem["status"]) == (status, status)


async def test_a_channel_that_is_down_is_told_and_can_be_tried_again(service: Service, world: World) -> None:
    world.is_down.add("channels")
    status, problem = await service.post("/v1/reconciliations", RUN)
    assert (status, problem["type"]) == (503, "/problems/settlement-file-not-available")


@pytest.mark.parametrize("query", ["date=today", "date=2026-13-01"])
async def test_a_bad_day_is_refused(service: Service, query: str) -> None:
    await service.get(f"/v1/reconciliations?{query}", status=422)


@pytest.mark.parametrize("run_id", ["rec_none", "rec_00000000000000000000000000", "%00"])
async def test_an_unknown_run_is_not_found(service: Service, run_id: str) -> None:
    problem = await service.get(f"/v1/reconciliations/{run_id}", status=404)
    assert problem["type"] == "/problems/not-found"
