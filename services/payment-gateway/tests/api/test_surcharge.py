"""A surcharge over real HTTP: the payer pays it, the ledger shows it by itself, refunds give it back."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_rig import RunningGateway
from money_rig import balance, set_terms, settled
from sqlalchemy import text

from payment_gateway.operations.settle_captures import settle_captures

LEGS = """
    SELECT d.kind AS debit, c.kind AS credit, t.amount_minor, t.kind FROM payments.transfer t
    JOIN payments.account d ON d.id = t.debit_account_id JOIN payments.account c ON c.id = t.credit_account_id
    WHERE 'surcharge' IN (d.kind, c.kind) ORDER BY t.id
"""


async def legs(gateway: RunningGateway) -> list[tuple[str, str, int, str]]:
    async with gateway.deps.engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(LEGS))]


async def surcharged(gateway: RunningGateway, **changes: Any) -> dict[str, Any]:
    """A payment of 100.00 and 3.00 on top."""
    reply = await gateway.pay(**{"amount_minor": 10_300, "surcharge_minor": 300} | changes)
    assert reply.status == 201, reply.raw
    return reply.body


async def test_a_surcharge_is_charged_shown_and_has_its_own_leg(gateway: RunningGateway) -> None:
    payment = await surcharged(gateway)
    assert (payment["amount_minor"], payment["surcharge_minor"], payment["captured_minor"]) == (
        10_300,
        300,
        10_300,
    )
    (line,) = await gateway.simulators.journal()
    assert line["charged_minor"] == 10_300
    assert await legs(gateway) == [
        ("receivable", "surcharge", 300, "posted"),
        ("surcharge", "pending", 300, "posted"),
    ]
    told = await settled(
        gateway,
        "SELECT data->'payment'->>'surcharge_minor' FROM payments.outbox_event WHERE type = 'payment.captured.v1'",
    )
    assert told == "300"
    (shown,) = (await gateway.call("GET", "/v1/balance-transactions")).body["data"]
    assert (shown["type"], shown["amount_minor"], shown["pending_minor"]) == ("charge", 10_300, 10_300)
    assert (await gateway.verification())["balanced"]


async def test_captures_in_parts_and_a_void_share_the_surcharge_out_without_rest(
    gateway: RunningGateway,
) -> None:
    payment = await surcharged(gateway, capture="manual")
    path = f"/v1/payments/{payment['id']}"
    for amount in (5_000, 5_000):
        assert (await gateway.post(f"{path}/capture", {"amount_minor": amount})).status == 200
    assert (await gateway.post(f"{path}/void")).body["status"] == "captured"
    assert await legs(gateway) == [
        ("receivable", "surcharge", 300, "pending"),
        ("receivable", "surcharge", 146, "post"),
        ("surcharge", "pending", 146, "posted"),
        ("receivable", "surcharge", 145, "post"),  # 291 of the first 10,000, less the 146 before
        ("surcharge", "pending", 145, "posted"),
        ("receivable", "surcharge", 9, "release"),
    ]
    over = await gateway.post(f"{path}/capture", {"amount_minor": 1})
    assert (over.status, over.problem) == (409, "invalid-state")
    assert (await gateway.verification())["balanced"]


async def test_a_final_capture_releases_what_it_leaves_of_the_surcharge(gateway: RunningGateway) -> None:
    payment = await surcharged(gateway, capture="manual")
    path = f"/v1/payments/{payment['id']}/capture"
    too_much = await gateway.post(path, {"amount_minor": 10_301})
    assert (too_much.status, too_much.problem) == (422, "amount-exceeds-remaining")
    assert (await gateway.post(path, {"amount_minor": 5_150, "final": True})).status == 200
    kinds = [(amount, kind) for _, _, amount, kind in await legs(gateway)]
    assert kinds == [(300, "pending"), (150, "post"), (150, "posted"), (150, "release")]
    assert (await gateway.verification())["balanced"]


async def test_refunds_give_the_surcharge_back_in_proportion(gateway: RunningGateway) -> None:
    await set_terms(gateway, settlement_delay_days=0)
    payment = await surcharged(gateway)
    await settle_captures(gateway.deps)
    path = f"/v1/payments/{payment['id']}/refunds"
    bodies: list[dict[str, Any]] = [{"amount_minor": 1_000}, {"amount_minor": 1_000}, {}]
    refunds = [(await gateway.post(path, body)).body for body in bodies]
    assert [refund["surcharge_minor"] for refund in refunds] == [29, 29, 242]
    back = [amount for debit, credit, amount, _ in await legs(gateway) if credit == "receivable"]
    assert back == [29, 29, 242]
    assert (await balance(gateway))["available"] == 0
    newest = (await gateway.call("GET", "/v1/balance-transactions")).body["data"][0]
    assert (newest["type"], newest["amount_minor"]) == ("refund", -8_300)
    assert (await gateway.verification())["balanced"]


@pytest.mark.parametrize(
    ("currency", "amount", "most"), [("EUR", 10_400, 400), ("JPY", 130, 5), ("BHD", 1_040, 40)]
)
async def test_more_than_the_cap_is_refused_and_the_cap_is_not(
    gateway: RunningGateway, currency: str, amount: int, most: int
) -> None:
    sale = {"amount_minor": amount, "currency": currency}
    assert (await gateway.pay(**sale, surcharge_minor=most)).status == 201
    before = await gateway.rows()
    for wrong, why in ((most + 1, "amount-exceeds-remaining"), (-1, None), (1.5, None)):
        refused = await gateway.pay(**sale, surcharge_minor=wrong)
        assert (refused.status, refused.body["errors"][0]["pointer"]) == (422, "/surcharge_minor")
        assert why in (None, refused.problem)
    assert await gateway.rows() == before


async def test_no_payment_is_above_the_cap_whatever_the_code_believes(gateway: RunningGateway) -> None:
    await surcharged(gateway)
    with pytest.raises(Exception, match="payment_surcharge_within_cap_check"):
        await settled(gateway, "UPDATE payments.payment SET surcharge_minor = 397", admin=True)


async def test_an_amount_that_no_longer_bears_its_surcharge_is_refused(gateway: RunningGateway) -> None:
    draft = await surcharged(gateway, confirm=False)
    refused = await gateway.post(f"/v1/payments/{draft['id']}", {"amount_minor": 5_000})
    assert (refused.status, refused.problem) == (422, "amount-exceeds-remaining")
    assert (await gateway.payment(draft["id"]))["amount_minor"] == 10_300
