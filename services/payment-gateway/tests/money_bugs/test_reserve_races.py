"""Two replicas release one reserve, or settle one capture, at the same moment: it is given back, and kept, once."""

from __future__ import annotations

import asyncio

from gateway_rig import RunningGateway
from money_rig import balance, funded, set_terms, settled
from test_ledger_races import one_behind_the_other

from payment_gateway.operations.release_reserves import release_reserves
from payment_gateway.operations.settle_captures import settle_captures

A_TENTH = {"basis_points": 1_000, "days": 30}
LOCK_RESERVE = "SELECT 1 FROM payments.reserve WHERE id = :id FOR UPDATE"


async def test_two_replicas_release_a_reserve_once(gateway: RunningGateway, twin: RunningGateway) -> None:
    await funded(gateway, 10_000, reserve=A_TENTH)
    await funded(gateway, 20_000, reserve=A_TENTH)
    (_, first) = (await gateway.call("GET", "/v1/reserves")).body["data"]
    await settled(
        gateway,
        "UPDATE payments.reserve SET created_at = created_at - interval '31 days',"
        f" release_at = release_at - interval '31 days' WHERE id = '{first['id']}'",
        admin=True,
    )
    released = await one_behind_the_other(
        gateway,
        LOCK_RESERVE,
        first["id"],
        lambda: release_reserves(gateway.deps),
        lambda: release_reserves(twin.deps),
    )
    assert sum(released) == 1
    after = await balance(gateway)
    assert (after["available"], after["reserve"]) == (28_000, 2_000)
    assert (await gateway.verification())["balanced"]


async def test_two_replicas_keep_a_share_once(gateway: RunningGateway, twin: RunningGateway) -> None:
    """Also the very first one, when there is no row yet that says how far the merchant is settled."""
    await set_terms(gateway, settlement_delay_days=0, reserve=A_TENTH)
    for kept in (1_000, 2_000, 3_000):
        await gateway.captured(10_000)
        done = await asyncio.gather(*(settle_captures(g.deps) for g in (gateway, twin)))
        assert sum(done) == 1
        assert (await balance(gateway))["reserve"] == kept
    assert (await gateway.verification())["balanced"]
