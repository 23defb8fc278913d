"""What is told of merchants: each as it is after every change that somebody could see, and to no merchant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from gateway_rig import ADMIN, RunningGateway
from sqlalchemy import text

from payment_gateway.operations.administer_merchants import get_merchant

TOLD = text(
    "SELECT id, type, merchant_id, data FROM payments.outbox_event WHERE aggregate_id = :id ORDER BY seq"
)
MIGRATION = Path(__file__).parents[2] / "src/payment_gateway/store/migrations/versions/20261127_facts.py"


async def told_of(gateway: RunningGateway, merchant_id: str) -> list[Any]:
    async with gateway.deps.engine.connect() as connection:
        return list(await connection.execute(TOLD, {"id": merchant_id}))


async def administer(gateway: RunningGateway, method: str, path: str, body: object = None) -> Any:
    raw = orjson.dumps(body) if body is not None else None
    reply = await gateway.call(method, f"/v1/merchants{path}", token=ADMIN, raw=raw)
    assert reply.status < 300, reply.raw
    return reply.body


async def test_every_change_of_a_merchant_is_told_whole_and_in_order(gateway: RunningGateway) -> None:
    made = await administer(gateway, "POST", "", {"name": "Café", "country": "NL", "mcc": "5812"})
    path = f"/{made['id']}"
    await administer(gateway, "PATCH", path, {"name": "Bistro"})
    await administer(
        gateway, "PUT", f"{path}/terms", {"settlement_delay_days": 7, "settlement_currency": "USD"}
    )
    await administer(gateway, "POST", f"{path}/disable")

    told = await told_of(gateway, made["id"])
    assert [(one.type, one.merchant_id) for one in told] == [
        ("merchant.created.v1", None),
        *[("merchant.updated.v1", None)] * 3,
    ]
    assert [(one.data["merchant"]["name"], one.data["merchant"]["mcc"]) for one in told] == [
        ("Café", "5812"),
        *[("Bistro", "5812")] * 3,
    ]
    assert [one.data["terms"]["settlement_delay_days"] for one in told] == [2, 2, 7, 7]
    assert told[-1].data["merchant"] == await get_merchant(gateway.deps, made["id"])
    assert told[-1].data["merchant"]["disabled_at"]


async def test_what_changes_nothing_or_where_payouts_go_is_not_told(gateway: RunningGateway) -> None:
    path, before = f"/{gateway.merchant_id}", len(await told_of(gateway, gateway.merchant_id))
    await administer(gateway, "PATCH", path, {"name": "Shop"})
    await administer(
        gateway, "PUT", f"{path}/terms", {"settlement_delay_days": 2, "payout_destination": "ba_1"}
    )
    await administer(gateway, "POST", f"{path}/enable")
    told = await told_of(gateway, gateway.merchant_id)
    assert len(told) == before
    assert all("payout_destination" not in one.data["terms"] for one in told)


async def test_a_merchant_category_is_four_digits(gateway: RunningGateway) -> None:
    for bad in ("541", "54111", "shop", 5411):
        raw = orjson.dumps({"name": "Shop", "country": "DE", "mcc": bad})
        assert (await gateway.call("POST", "/v1/merchants", token=ADMIN, raw=raw)).status == 422, bad


async def test_merchants_from_before_are_told_once_as_they_are(gateway: RunningGateway) -> None:
    """The statement of the migration over a merchant of now, held to the event that the code tells."""
    path = f"/{gateway.merchant_id}"
    reserve = {"basis_points": 500, "days": 90}
    await administer(gateway, "PUT", f"{path}/terms", {"settlement_delay_days": 3, "reserve": reserve})
    await administer(gateway, "POST", f"{path}/disable")
    by_code = (await told_of(gateway, gateway.merchant_id))[-1]
    statement = MIGRATION.read_text(encoding="utf-8").split('"""')[3]
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(text(statement))
    by_migration = (await told_of(gateway, gateway.merchant_id))[-1]
    assert by_migration.id == gateway.merchant_id.replace("mer_", "evt_")
    assert (by_migration.type, by_migration.data) == (by_code.type, by_code.data)
