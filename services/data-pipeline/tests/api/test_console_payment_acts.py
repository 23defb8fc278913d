"""Capture, void and refund from the console: what is confirmed is what is asked for, once, in the operator's name."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pipeline_rig import NOON, World, a_payment, a_sale, an_event, ingest
from running_service import SESSION, Service, logged_in

from data_pipeline.domain.operators import Role
from platform_kit.clock import isoformat

PAYMENT = a_payment(1)["id"]
PAGE = f"/console/payments/{PAYMENT}"


def a_history(**changes: Any) -> dict[str, Any]:
    """What the gateway tells of the payment."""
    payment = a_payment(1) | {"disputed_minor": 0, "fee_minor": 45, "fee_returned_minor": 0}
    return {"payment": payment, "routes": [], "attempts": [], "deliveries": [], "acts": []} | changes


async def confirmed(
    service: Service, act: str, fields: dict[str, str], session_id: str = SESSION
) -> dict[str, str]:
    """The hidden fields of the confirmation."""
    status, _, html = await service.send(f"{PAGE}/{act}/confirm", fields, session_id=session_id)
    assert status == 200, html
    found = re.findall(r'<input type="hidden" name="(amount|reason|key)" value="([^"]*)"', html)
    return dict(found)


async def test_a_refund_states_the_movement_and_is_asked_for_in_the_operators_name(
    service: Service, world: World
) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    fields = {"amount": "5.00", "reason": "goods came back"}
    status, _, html = await service.send(f"{PAGE}/refund/confirm", fields)
    assert status == 200
    assert (
        "5.00 EUR is taken from the balance of merchant …000001 and sent back to the payer over card_sim."
        in html
    )
    assert "Refunded afterwards: 5.00 EUR of 12.50 EUR; 7.50 EUR remains." in html
    assert world.acts == []

    hidden = await confirmed(service, "refund", fields)
    assert await service.send(f"{PAGE}/refund", hidden) == (303, f"{PAGE}?told=refund", "")
    (asked,) = world.acts
    assert (asked["Acting-For"], asked["payment"], asked["act"]) == ("admin-1", PAYMENT, "refunds")
    assert asked["body"] == {"reason": "goods came back", "amount_minor": 500}
    assert asked["Idempotency-Key"] == hidden["key"]
    assert "Refunded. The timeline shows it" in await service.page(f"{PAGE}?told=refund")


async def test_a_form_sent_twice_has_one_key(service: Service, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    hidden = await confirmed(service, "refund", {"amount": "5.00", "reason": "goods came back"})
    for _ in range(2):
        await service.send(f"{PAGE}/refund", hidden)
    assert len({asked["Idempotency-Key"] for asked in world.acts}) == 1
    another = await confirmed(service, "refund", {"amount": "5.00", "reason": "goods came back"})
    assert another["key"] != hidden["key"]


async def test_a_hold_can_be_captured_or_given_up_and_nothing_else(service: Service, world: World) -> None:
    held = a_payment(1, status="authorised", captured_minor=0)
    await ingest(service.deps.engine, [an_event(1, "payment.authorised.v1", payment=held)])
    html = await service.page(PAGE)
    assert [act for act in ("capture", "void", "refund") if f'href="{PAGE}/{act}"' in html] == [
        "capture",
        "void",
    ]
    assert "There is nothing left to refund" in await service.page(f"{PAGE}/refund")
    hidden = await confirmed(service, "void", {"reason": "out of stock"})
    await service.send(f"{PAGE}/void", hidden)
    assert world.acts[0]["body"] == {"reason": "out of stock"}


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "0", "reason": "nothing"},
        {"amount": "-1", "reason": "backwards"},
        {"amount": "1.001", "reason": "parts of a cent"},
        {"amount": "NaN", "reason": "no number"},
        {"amount": "five", "reason": "in words"},
        {"amount": "5.00", "reason": ""},
        {"amount": "5.00", "reason": "x" * 501},
    ],
)
async def test_what_makes_no_sense_is_told_beside_the_form(
    service: Service, world: World, fields: dict[str, str]
) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    status, _, html = await service.send(f"{PAGE}/refund/confirm", fields)
    assert status == 422
    assert 'role="alert"' in html
    status, _, _ = await service.send(f"{PAGE}/refund", fields | {"key": "console-1"})
    assert (status, world.acts) == (422, [])


async def test_more_than_remains_is_told_before_it_is_confirmed_and_then_by_the_gateway(
    service: Service, world: World
) -> None:
    """A confirmed form may have been done already: sent again it must reach the gateway, which knows its key."""
    await ingest(service.deps.engine, [a_sale(1)])
    fields = {"amount": "12.51", "reason": "too much", "key": "console-1"}
    assert (await service.send(f"{PAGE}/refund/confirm", fields))[0] == 422
    assert world.acts == []
    await service.send(f"{PAGE}/refund", fields)
    assert [act["Idempotency-Key"] for act in world.acts] == ["console-1"]


async def test_the_role_decides_who_moves_money(service: Service, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    for role, allowed in ((Role.VIEWER, False), (Role.OPERATOR, True), (Role.FINANCE, True)):
        session = await logged_in(service.deps, role, f"session-{role}")
        headers = {"Cookie": f"console={session}"}
        async with service.session.get(service.url + PAGE, headers=headers) as answer:
            assert (f'href="{PAGE}/refund"' in await answer.text()) is allowed
        status, _, _ = await service.send(
            f"{PAGE}/refund/confirm", {"amount": "5", "reason": "why not"}, session_id=session
        )
        assert status == (200 if allowed else 403)
    status, _, _ = await service.send(
        f"{PAGE}/refund", {"amount": "5", "reason": "why", "key": "console-1"}, session_id="session-viewer"
    )
    assert (status, world.acts) == (403, [])


async def test_without_the_sessions_token_nothing_is_done(service: Service, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    fields = {"amount": "5.00", "reason": "from elsewhere", "key": "console-1"}
    status, _, _ = await service.send(f"{PAGE}/refund", fields, token="0" * 64)
    assert (status, world.acts) == (403, [])


async def test_what_the_gateway_says_is_shown(service: Service, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    fields = {"amount": "5.00", "reason": "goods came back", "key": "console-1"}
    world.answers = [(409, {"title": "Another operation is running", "detail": "Try again shortly."})]
    status, _, html = await service.send(f"{PAGE}/refund", fields)
    assert status == 409
    assert "Another operation is running" in html
    world.answers = [(500, {})]
    status, _, html = await service.send(f"{PAGE}/refund", fields)
    assert status == 502
    assert "It may have been done all the same" in html
    world.answers = [(202, {"status": "pending"})]
    assert (await service.send(f"{PAGE}/refund", fields))[1] == f"{PAGE}?told=pending"


async def test_the_timeline_has_route_webhooks_and_acts_of_operators(service: Service, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    world.histories[PAYMENT] = a_history(
        routes=[
            {
                "attempt_id": "att_1",
                "decided_at": isoformat(NOON),
                "channel": "card_sim",
                "reason": "costs 43 EUR minor",
                "rule": "cheapest",
                "candidates": [{"channel": "card_sim_2", "reason": "breaker open or not deployed"}],
            }
        ],
        deliveries=[
            {
                "id": "dlv_1",
                "event_type": "payment.captured.v1",
                "url": "https://shop.example/hook",
                "status": "dead",
                "attempt_count": 9,
                "last_status_code": 500,
                "last_error": None,
                "created_at": isoformat(NOON),
                "delivered_at": None,
            }
        ],
        acts=[
            {
                "action": "payment.refund",
                "operator": "ada",
                "details": {"reason": "goods came back"},
                "created_at": isoformat(NOON),
            }
        ],
    )
    html = await service.page(PAGE)
    for words in (
        "Routed to card_sim",
        "costs 43 EUR minor (rule cheapest)",
        "not card_sim_2: breaker open or not deployed",
        "Webhook payment.captured.v1",
        "https://shop.example/hook: 500, 9 attempts",
        "Refund asked for by ada",
        "goods came back",
        "12.05 EUR",  # what the merchant keeps, after fees
    ):
        assert words in html, words
    assert "does not answer" not in html


async def test_without_the_gateway_the_page_says_what_is_missing(service: Service, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    world.is_down.add("gateway")
    html = await service.page(PAGE)
    assert "The gateway does not answer" in html
    assert "Captured" in html
