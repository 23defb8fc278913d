"""Suspense: a line that nobody can explain leaves what the channel owes, is booked once, and is resolved once."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from gateway_rig import ADMIN, TOKEN, Reply, RunningGateway
from money_rig import balance, funded, settled
from test_channel_costs import balances

from payment_gateway.operations.book_channel_costs import book_channel_costs

PATH = "/v1/admin/suspense"
A_LINE: dict[str, Any] = {
    "channel": "card_sim",
    "reference": "brk_1",
    "direction": "received",
    "amount_minor": 700,
    "currency": "EUR",
    "note": "no such payment",
}


async def administer(gateway: RunningGateway, path: str, body: Any) -> Reply:
    return await gateway.call("POST", path, token=ADMIN, raw=orjson.dumps(body))


async def listed(gateway: RunningGateway, query: str = "") -> list[str]:
    reply = await gateway.call("GET", f"{PATH}{query}", token=ADMIN)
    return [one["id"] for one in reply.body["data"]]


@pytest.mark.parametrize("direction", ["received", "taken"])
@pytest.mark.parametrize(
    ("to", "account"),
    [("channel", "channel:card_sim:receivable"), ("costs", "platform:scheme_fees"), ("platform", "platform:fees")],
)  # fmt: skip
async def test_what_is_in_suspense_goes_where_it_belongs_once(
    gateway: RunningGateway, direction: str, to: str, account: str
) -> None:
    await gateway.captured(10_000)
    before = await balances(gateway)
    item = (await administer(gateway, PATH, A_LINE | {"direction": direction})).body
    sign = 1 if direction == "received" else -1
    during = await balances(gateway)
    assert during["platform:suspense"] == 700 * sign
    assert during["channel:card_sim:receivable"] == before["channel:card_sim:receivable"] - 700 * sign
    resolving = [
        administer(gateway, f"{PATH}/{item['id']}/resolve", {"to": to, "note": "found"}) for _ in range(3)
    ]
    replies = await asyncio.gather(*resolving)
    assert sorted(reply.status for reply in replies) == [200, 409, 409]
    after = await balances(gateway)
    assert after["platform:suspense"] == 0
    gained = after.get(account, 0) - during.get(account, 0)
    assert gained == 700 * sign
    assert (await listed(gateway), await listed(gateway, "?open=false")) == ([], [item["id"]])
    assert (await gateway.verification())["balanced"]


async def test_a_line_is_put_into_suspense_once_whoever_asks_how_often(gateway: RunningGateway) -> None:
    replies = await asyncio.gather(*(administer(gateway, PATH, A_LINE) for _ in range(4)))
    assert {(reply.status, reply.body["id"]) for reply in replies} == {(201, replies[0].body["id"])}
    assert (await balances(gateway))["platform:suspense"] == 700
    other = await administer(gateway, PATH, A_LINE | {"amount_minor": 701})
    assert (other.status, other.problem) == (409, "suspense-differs")
    assert (await balances(gateway))["platform:suspense"] == 700


async def test_what_was_a_merchants_becomes_its_own_and_it_is_told(gateway: RunningGateway) -> None:
    await funded(gateway, 1_000)
    item = (await administer(gateway, PATH, A_LINE)).body
    path = f"{PATH}/{item['id']}/resolve"
    for wrong in ({"to": "merchant"}, {"to": "costs", "merchant_id": gateway.merchant_id},
                  {"to": "merchant", "merchant_id": "mer_00000000000000000000000000"}):  # fmt: skip
        assert (await administer(gateway, path, wrong | {"note": "?"})).status in (400, 422)
    done = await administer(
        gateway, path, {"to": "merchant", "merchant_id": gateway.merchant_id, "note": "theirs"}
    )
    assert (done.status, done.body["status"], done.body["merchant_id"]) == (
        200,
        "resolved",
        gateway.merchant_id,
    )
    assert (await balance(gateway))["available"] == 1_700
    (newest,) = (await gateway.call("GET", "/v1/balance-transactions?limit=1")).body["data"]
    assert (newest["type"], newest["net_minor"]) == ("adjustment", 700)
    told = "SELECT merchant_id FROM payments.outbox_event WHERE type = 'suspense.resolved.v1'"
    assert await settled(gateway, told) == gateway.merchant_id


async def test_suspense_stands_in_the_audit_log_and_is_no_charge(gateway: RunningGateway) -> None:
    item = (await administer(gateway, PATH, A_LINE)).body
    await administer(gateway, f"{PATH}/{item['id']}/resolve", {"to": "costs", "note": "a fee"})
    log = await gateway.call("GET", "/v1/admin/audit-log?limit=2", token=ADMIN)
    assert [(one["action"], one["object_id"], one["merchant_id"]) for one in log.body["data"]] == [
        ("suspense.resolved", item["id"], None),
        ("suspense.booked", item["id"], None),
    ]
    assert await book_channel_costs(gateway.deps) == 0, "nothing was charged"


async def test_only_the_administrator_and_only_our_channels(gateway: RunningGateway) -> None:
    assert (await gateway.post(PATH, A_LINE)).status == 401
    assert (await administer(gateway, PATH, A_LINE | {"channel": "nobody"})).status == 422
    assert (
        await administer(gateway, f"{PATH}/sus_{'0' * 26}/resolve", {"to": "costs", "note": "?"})
    ).status == 404


async def correct(
    gateway: RunningGateway, token: str = TOKEN, by: str = "ada", raw: bytes = b"", **changes: Any
) -> Reply:
    raw = raw or orjson.dumps(A_LINE | {"write_off": False} | changes)
    return await gateway.call(
        "POST", "/internal/corrections", token=token, raw=raw, headers={"Acting-For": by}
    )


@pytest.mark.parametrize(("writes_off", "left"), [(False, 700), (True, 0)])
async def test_a_correction_of_the_reconciliation_is_booked_once_under_the_persons_name(
    gateway: RunningGateway, writes_off: bool, left: int
) -> None:
    for _ in range(2):
        reply = await correct(gateway, write_off=writes_off)
        assert (reply.status, reply.body["reference"]) == (201, "brk_1")
    found = await balances(gateway)
    assert found["platform:suspense"] == left
    assert found["channel:card_sim:receivable"] == -700
    log = (await gateway.call("GET", "/v1/admin/audit-log", token=ADMIN)).body["data"]
    acts = [one for one in log if one["action"].startswith("suspense.")]
    assert {(one["actor"]["type"], one["actor"]["id"]) for one in acts} == {("operator", "ada")}
    assert len(acts) == (2 if writes_off else 1)
    assert (await gateway.verification())["balanced"]


async def test_a_correction_takes_the_services_token_and_a_name(gateway: RunningGateway) -> None:
    assert (await correct(gateway, "wrong")).status == 401
    nobody = await correct(gateway, by="no one")
    assert (nobody.status, nobody.problem) == (403, "nobody-named")
    assert (await correct(gateway, actor="ada")).status == 422
    twice = orjson.dumps(A_LINE)[:-1] + b',"amount_minor":1}'
    assert (await correct(gateway, raw=twice)).problem == "duplicate-key"
    assert "platform:suspense" not in await balances(gateway)


async def test_a_write_off_sent_at_once_and_again_is_one_and_all_are_told_so(gateway: RunningGateway) -> None:
    replies = await asyncio.gather(*(correct(gateway, write_off=True) for _ in range(5)))
    assert [(reply.status, reply.body.get("resolved_to")) for reply in replies] == [(201, "platform")] * 5
    found = await balances(gateway)
    assert (found["platform:suspense"], found["platform:fees"]) == (0, 700)


async def test_a_write_off_of_what_went_to_somebody_else_is_refused(gateway: RunningGateway) -> None:
    item = (await correct(gateway)).body
    await administer(gateway, f"{PATH}/{item['id']}/resolve", {"to": "costs", "note": "a fee"})
    refused = await correct(gateway, write_off=True)
    assert (refused.status, refused.problem) == (409, "suspense-not-platform")
    assert (await correct(gateway)).status == 201
