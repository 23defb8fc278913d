"""How far a page of payments looks: ten thousand of the rarest part of its filter, and it says so."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from pipeline_rig import NOON
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from data_pipeline.domain.payment_filter import PaymentFilter
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.list_payments import PAGE, list_payments
from data_pipeline.store.payment_list import LOOKED_AT

COUNT = 3 * LOOKED_AT + 9
OLDEST = f"pay_{COUNT:026d}"
# One a second, newest first: two of three are captured by card, the third is declined by wallet. The four oldest are of
# one moment and of a bank; the oldest is voided, the one three before it captured, the one six before it in yen.
FILL = text(
    """
    INSERT INTO pipeline.fact_payment (payment_id, merchant_id, status, amount_minor, currency, authorised_minor,
        captured_minor, refunded_minor, method, channel, decision, version, created_at, updated_at, position)
    SELECT 'pay_' || lpad(n::text, 26, '0'), 'mer_1',
        CASE WHEN n = :count THEN 'voided' WHEN n % 3 = 0 AND n <> :count - 3 THEN 'declined' ELSE 'captured' END,
        500, CASE WHEN n = :count - 6 THEN 'JPY' ELSE 'EUR' END, 0, 0, 0,
        CASE WHEN n > :count - 4 THEN 'bank' WHEN n % 3 = 0 THEN 'wallet' ELSE 'card' END,
        CASE WHEN n % 3 = 0 THEN 'wallet_sim' ELSE 'card_sim' END, 'allow', 1,
        CAST(:noon AS timestamptz) - least(n, :count - 3) * interval '1 second', :noon, n
    FROM generate_series(1, :count) AS n
    """
)
TIE = NOON - timedelta(seconds=COUNT - 3)


@pytest.fixture
async def many(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await conn.execute(FILL, {"count": COUNT, "noon": NOON})


async def every_page(deps: Deps, wanted: PaymentFilter) -> tuple[list[str], list[datetime]]:
    """Payments of all pages, and how far those looked that came to no page's end."""
    seen: list[str] = []
    looked: list[datetime] = []
    before = None
    while True:
        found = await list_payments(deps, wanted, before)
        assert len(found.payments) <= PAGE
        seen += [row["payment_id"] for row in found.payments]
        if found.looked_back_to:
            looked.append(found.looked_back_to)
        if found.older is None:
            return seen, looked
        assert before is None or found.older < before
        before = found.older


@pytest.mark.usefixtures("many")
async def test_parts_that_never_meet_are_looked_for_among_ten_thousand_at_a_time(deps: Deps) -> None:
    """Each is common: a plan for both at once expects a page soon, and reads the whole table for it."""
    seen, looked = await every_page(deps, PaymentFilter(status="captured", channel="wallet_sim"))
    assert seen == [f"pay_{COUNT - 3:026d}"]
    assert looked == [NOON - timedelta(seconds=COUNT - 6)]  # ten thousand of the wallet's, which are fewer
    seen, looked = await every_page(deps, PaymentFilter(method="wallet", status="captured", currency="EUR"))
    assert seen == []
    assert looked[0] == NOON - timedelta(seconds=15_001)  # of those captured: no index knows methods by time
    assert len(looked) == 2


@pytest.mark.usefixtures("many")
async def test_what_is_rare_is_found_at_once_however_old(deps: Deps) -> None:
    for wanted in (
        PaymentFilter(status="voided", method="bank", currency="EUR"),
        PaymentFilter(status="voided", merchant_id="mer_1", decision="allow"),
    ):
        found = await list_payments(deps, wanted)
        assert [row["payment_id"] for row in found.payments] == [OLDEST]
        assert (found.older, found.looked_back_to) == (None, None)
    [yen] = (await list_payments(deps, PaymentFilter(currency="JPY", channel="wallet_sim"))).payments
    [same] = (await list_payments(deps, PaymentFilter(amount_min=Decimal(500), merchant_id="mer_1"))).payments
    assert yen["payment_id"] == same["payment_id"] == f"pay_{COUNT - 6:026d}"


@pytest.mark.usefixtures("many")
async def test_payments_of_the_moment_back_to_which_was_looked_are_not_lost(deps: Deps) -> None:
    """It is that of four: a step that ends there has them all, and the next begins before it."""
    newest = NOON - timedelta(seconds=COUNT - 2 - LOOKED_AT)
    wanted = PaymentFilter(method="bank", merchant_id="mer_1", until=newest + timedelta(milliseconds=500))
    seen, looked = await every_page(deps, wanted)
    assert seen == [f"pay_{COUNT - n:026d}" for n in range(4)]
    assert looked == [TIE]


@pytest.mark.usefixtures("many")
async def test_a_full_page_is_read_no_further_than_it_goes(deps: Deps) -> None:
    found = await list_payments(
        deps, PaymentFilter(method="card", currency="EUR", since=NOON - timedelta(hours=1))
    )
    assert len(found.payments) == PAGE
    assert found.looked_back_to is None
