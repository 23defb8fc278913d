"""What a decision looks at is locked while it decides: nobody else can change the row, on this replica or another.

The tests of races show what goes wrong otherwise; this one that each kind of row is locked, one by one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest
from money_rows import A_GOOD_ROW_OF_EACH
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from payment_gateway.domain.ledger import AccountName
from payment_gateway.settings import Settings
from payment_gateway.store import (
    disputes,
    fx_residue,
    ledger,
    ledger_holds,
    payments,
    payouts,
    refunds,
    reserves,
    suspense,
    terms,
)
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.db import create_engine

LOCK_NOT_AVAILABLE: Final = "55P03"
Lock = Callable[[AsyncConnection], Awaitable[Any]]

LOCKED: Final[dict[str, tuple[Lock, str]]] = {
    "payment": (
        lambda c: c.execute(text(payments.LOCK_PAYMENTS), {"payment_ids": ["pay_1"]}),
        "id = 'pay_1'",
    ),
    "refund": (lambda c: refunds.lock(c, ["rf_1"]), "id = 'rf_1'"),
    "dispute": (lambda c: disputes.lock(c, ["dp_1"]), "id = 'dp_1'"),
    "payout": (lambda c: payouts.lock(c, ["po_1"]), "id = 'po_1'"),
    "reserve": (lambda c: reserves.lock(c, ["rsv_1"]), "id = 'rsv_1'"),
    "suspense": (lambda c: suspense.lock(c, ["sus_1"]), "id = 'sus_1'"),
    "settlement": (lambda c: terms.lock(c, ["merchant:mer_1:EUR"]), "id = 'merchant:mer_1:EUR'"),
    "fx_residue": (lambda c: fx_residue.lock(c, ["EUR"]), "id = 'EUR'"),
    "hold": (lambda c: ledger_holds.lock(c, ["hld_1"]), "id = 'hld_1'"),
    "account": (lambda c: ledger.lock(c, [AccountName("ledger:mer_1", "a", "EUR")]), "id = 1"),
}


@pytest.fixture
async def engine(fresh_database: FreshDatabase) -> AsyncIterator[AsyncEngine]:
    database = await fresh_database("payments")
    owner = create_engine(Settings(database_url=database.admin_url))
    async with owner.begin() as connection:
        for statement in A_GOOD_ROW_OF_EACH:
            await connection.execute(text(statement))
        await connection.execute(
            text("INSERT INTO payments.settlement (id, transfer_id) VALUES ('merchant:mer_1:EUR', 0)")
        )
    await owner.dispose()
    engine = create_engine(Settings(database_url=database.app_url))
    yield engine
    await engine.dispose()


async def test_every_kind_of_row_that_is_decided_about_is_locked(engine: AsyncEngine) -> None:
    states: dict[str, str | None] = {}
    async with engine.connect() as other:
        for table, (lock, which) in LOCKED.items():
            async with engine.begin() as holder:
                await lock(holder)
                states[table] = await refusal(
                    other, f"SELECT 1 FROM payments.{table} WHERE {which} FOR UPDATE NOWAIT"
                )
    assert states == dict.fromkeys(LOCKED, LOCK_NOT_AVAILABLE)


async def refusal(connection: AsyncConnection, statement: str) -> str | None:
    """The SQLSTATE with which it is refused; None when it passes."""
    try:
        await connection.execute(text(statement))
    except DBAPIError as error:
        return str(getattr(error.orig, "sqlstate", error))
    finally:
        await connection.rollback()
    return None
