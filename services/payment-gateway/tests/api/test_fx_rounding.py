"""What rounding leaves of conversions has an account, and the conversions explain its balance to the last part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gateway_rig import RunningGateway, run_gateway
from money_rig import funded, settled
from sqlalchemy import text

from payment_gateway.domain.fx import ATTO
from payment_gateway.operations.convert_balances import convert_balances
from payment_gateway.settings import Settings
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.db import create_engine

SIX_CENTS_LEAVE = 495 * ATTO // 1000  # 0.06 EUR are 6.495 US cents, and 6 can be booked


async def converted(gateway: RunningGateway, amount_minor: int) -> None:
    await funded(gateway, amount_minor, settlement_currency="USD")
    assert await convert_balances(gateway.deps) == 1


async def rounding(gateway: RunningGateway) -> dict[str, Any]:
    verified = await gateway.verification()
    (found,) = verified["fx_rounding"]
    return dict(found)


async def test_residues_add_up_until_they_are_a_whole_minor_unit_which_is_booked(
    gateway: RunningGateway,
) -> None:
    for _ in range(2):
        await converted(gateway, 6)
    before = await rounding(gateway)
    assert (before["booked_minor"], before["carried_atto"]) == (0, 2 * SIX_CENTS_LEAVE)
    await converted(gateway, 6)
    assert await rounding(gateway) == {
        "currency": "USD",
        "booked_minor": 1,
        "carried_atto": 3 * SIX_CENTS_LEAVE - ATTO,
        "conversions": 3,
        "explained": True,
    }
    lines = await settled(
        gateway,
        "SELECT count(*) FROM payments.transfer t JOIN payments.account c ON c.id = t.credit_account_id"
        " WHERE (c.owner, c.kind, c.currency, t.amount_minor) = ('platform', 'fx_rounding', 'USD', 1)",
    )
    assert lines == 1
    assert (await gateway.verification())["balanced"]


async def test_a_rounding_that_took_from_liquidity_is_booked_the_other_way(gateway: RunningGateway) -> None:
    for _ in range(3):
        await converted(gateway, 7)  # 7.5775 US cents, of which 8 are booked
    found = await rounding(gateway)
    assert (found["booked_minor"], found["explained"]) == (-1, True)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE payments.fx_residue SET carried_atto = carried_atto + 1",
        "DELETE FROM payments.fx_residue",
        "UPDATE payments.journal SET metadata = metadata || '{\"numerator\": \"1082499\"}' WHERE metadata ? 'sell'",
        "DELETE FROM payments.transfer t USING payments.journal j"
        " WHERE j.id = t.journal_id AND t.currency = j.metadata ->> 'sell'",
    ],
)
async def test_a_rounding_that_the_conversions_do_not_explain_is_found(
    fresh_database: FreshDatabase, tmp_path: Path, edit: str
) -> None:
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path / "journals") as gateway:
        await converted(gateway, 6)
        assert (await gateway.verification())["balanced"]
        engine = create_engine(Settings(database_url=database.admin_url))
        async with engine.begin() as connection:
            await connection.execute(text(edit))
        await engine.dispose()
        found = await gateway.verification()
    assert not found["balanced"]
    assert [one["explained"] for one in found["fx_rounding"]] == [False]
