"""Payments of all merchants at the platform's own door: what happened, and an operator's acts in the audit log."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_rig import ADMIN, RunningGateway
from simulator_rig import TOKEN

ADA = {"Acting-For": "ada"}
CARD = {"type": "card", "card": {"token": "tok_visa_overseen"}}


async def a_payment(gateway: RunningGateway, capture: str = "automatic") -> str:
    body = {"amount_minor": 1250, "currency": "EUR", "method": CARD, "capture": capture}
    made = await gateway.post("/v1/payments", body)
    assert made.status == 201, made.body
    return str(made.body["id"])


async def act(gateway: RunningGateway, path: str, body: Any, **options: Any) -> Any:
    options.setdefault("headers", ADA)
    return await gateway.post(f"/internal/payments/{path}", body, token=TOKEN, **options)


async def acts_on(gateway: RunningGateway, payment_id: str) -> list[dict[str, Any]]:
    told = await gateway.call("GET", f"/internal/payments/{payment_id}", token=TOKEN)
    assert told.status == 200, told.body
    found: list[dict[str, Any]] = told.body["acts"]
    return found


async def test_a_refund_by_an_operator_is_the_merchants_refund_and_names_the_operator(
    gateway: RunningGateway,
) -> None:
    payment = await a_payment(gateway)
    done = await act(gateway, f"{payment}/refunds", {"amount_minor": 500, "reason": "goods came back"})
    assert (done.status, done.body["amount_minor"]) == (201, 500)
    seen = (await gateway.call("GET", f"/v1/payments/{payment}")).body
    assert seen["refunded_minor"] == 500
    (kept,) = await acts_on(gateway, payment)
    assert (kept["action"], kept["operator"]) == ("payment.refund", "ada")
    assert kept["details"]["reason"] == "goods came back"
    assert (kept["details"]["amount_minor"], kept["details"]["currency"]) == (500, "EUR")
    logged = await gateway.call("GET", "/v1/admin/audit-log", token=ADMIN)
    assert {"type": "operator", "id": "ada"} in [entry["actor"] for entry in logged.body["data"]]
    assert (await gateway.verification())["balanced"]


async def test_the_merchant_reads_neither_the_operators_name_nor_what_is_for_colleagues(
    gateway: RunningGateway,
) -> None:
    payment = await a_payment(gateway)
    secret = "suspected collusion, see case 4711"
    await act(gateway, f"{payment}/refunds", {"amount_minor": 500, "reason": secret})
    refunds = await gateway.call("GET", f"/v1/payments/{payment}/refunds")
    log = await gateway.call("GET", "/v1/audit-log")
    assert [one["reason"] for one in refunds.body["data"]] == [None]
    told = next(one for one in log.body["data"] if one["action"] == "payment.refund")
    assert (told["actor"], told["details"]["amount_minor"]) == ({"type": "operator", "id": None}, 500)
    for reply in (refunds, log, await gateway.call("GET", f"/v1/payments/{payment}")):
        assert secret not in str(reply.body)
        assert "'ada'" not in str(reply.body)


async def test_a_hold_is_captured_in_part_and_given_up(gateway: RunningGateway) -> None:
    payment = await a_payment(gateway, "manual")
    captured = await act(gateway, f"{payment}/capture", {"amount_minor": 250, "reason": "first parcel"})
    assert (captured.status, captured.body["captured_minor"]) == (200, 250)
    voided = await act(gateway, f"{payment}/void", {"reason": "second parcel lost"})
    assert voided.status == 200
    assert [kept["action"] for kept in await acts_on(gateway, payment)] == ["payment.capture", "payment.void"]


async def test_the_same_form_sent_again_does_it_once(gateway: RunningGateway) -> None:
    payment = await a_payment(gateway)
    body = {"amount_minor": 500, "reason": "clicked twice"}
    first, second = [await act(gateway, f"{payment}/refunds", body, key="console-1") for _ in range(2)]
    assert first.body["id"] == second.body["id"]
    assert len(await acts_on(gateway, payment)) == 1


@pytest.mark.parametrize("headers", [{}, {"Acting-For": ""}, {"Acting-For": "Ada; admin"}])
async def test_nobody_acts_without_a_name(gateway: RunningGateway, headers: dict[str, str]) -> None:
    payment = await a_payment(gateway)
    refused = await act(gateway, f"{payment}/refunds", {"reason": "no name"}, headers=headers)
    assert refused.status == 403


async def test_a_merchants_key_does_not_open_it_and_a_reason_is_needed(gateway: RunningGateway) -> None:
    payment = await a_payment(gateway)
    body = {"reason": "mine"}
    assert (await gateway.post(f"/internal/payments/{payment}/refunds", body, headers=ADA)).status == 401
    for said in ({}, {"reason": ""}, {"reason": "x"}):
        assert (await act(gateway, f"{payment}/refunds", said)).status == 422
    assert await acts_on(gateway, payment) == []


async def test_more_than_remains_is_refused_and_not_logged(gateway: RunningGateway) -> None:
    payment = await a_payment(gateway)
    refused = await act(gateway, f"{payment}/refunds", {"amount_minor": 1251, "reason": "too much"})
    assert refused.status == 422
    assert await acts_on(gateway, payment) == []


async def test_the_history_has_the_route_with_its_reason_and_the_attempts(gateway: RunningGateway) -> None:
    payment = await a_payment(gateway)
    told = (await gateway.call("GET", f"/internal/payments/{payment}", token=TOKEN)).body
    assert told["payment"]["id"] == payment
    (route,) = told["routes"]
    assert route["channel"] == told["payment"]["channel"]
    assert route["reason"]
    assert [one["outcome"] for one in told["attempts"]] == ["succeeded"]


@pytest.mark.parametrize("payment", ["pay_nothing", "pay_" + "0" * 26])
async def test_a_payment_that_is_none_is_not_found(gateway: RunningGateway, payment: str) -> None:
    assert (await gateway.call("GET", f"/internal/payments/{payment}", token=TOKEN)).status == 404
