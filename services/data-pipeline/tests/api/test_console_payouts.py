"""Payouts of channels, page by page: every batch on exactly one page, and a day never on two."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, timedelta

from pipeline_rig import NOON, TODAY
from running_service import Service

from data_pipeline.api.console.reconciliation import PAYOUTS_SHOWN
from data_pipeline.store import payouts as payout_store
from data_pipeline.store.payouts import PayoutRow

PAGE = "/console/reconciliation/payouts"


def paid_out(settled_on: date, number: int) -> PayoutRow:
    """Every fourth has not come."""
    state, received = ("missing", None) if number % 4 == 0 else ("received", 900)
    batch = f"channel{number:03d}-{settled_on:%Y%m%d}-EUR"
    return PayoutRow(
        batch, f"channel{number:03d}", settled_on, "EUR", 1000, 0, 100, 900, state, received,
        1 if received else 0, None, NOON,
    )  # fmt: skip


async def keep(service: Service, per_day: dict[date, int]) -> list[PayoutRow]:
    payouts = [paid_out(day, number) for day, count in per_day.items() for number in range(count)]
    async with service.deps.engine.begin() as conn:
        await payout_store.save(conn, payouts)
    return payouts


async def pages(service: Service, query: str, count: int) -> AsyncIterator[list[str]]:
    """The batches of so many pages, from the first on, each found by the link of the one before."""
    address = f"{PAGE}?{query}"
    for _ in range(count):
        html = await service.page(address)
        yield re.findall(r">(channel\d{3}-\d{8}-EUR)</a>", html)
        onward = re.search(rf'href="({PAGE}\?to=[^"]+)"', html)
        assert onward is not None
        address = onward[1].replace("&amp;", "&")


async def test_each_batch_is_on_one_page_and_each_day_whole(service: Service) -> None:
    days = [TODAY - timedelta(days=back) for back in range(12)]
    kept = await keep(service, dict.fromkeys(days, 40) | {days[4]: PAYOUTS_SHOWN + 10})
    found = [page async for page in pages(service, f"to={TODAY}&days=12", 6)]
    shown_on = [{batch.split("-")[1] for batch in page} for page in found]
    assert Counter(batch for page in found for batch in page) == Counter(one.batch for one in kept)
    assert Counter(day for on_page in shown_on for day in on_page) == Counter(f"{day:%Y%m%d}" for day in days)
    assert [len(on_page) for on_page in shown_on] == [3, 1, 1, 3, 3, 1]
    assert len(found[2]) == PAYOUTS_SHOWN + 10  # a day that fills more than a page is not cut
    assert "Days before 2026-11-21 are on the next page" in await service.page(f"{PAGE}?to={TODAY}&days=12")


async def test_pages_keep_the_state_and_go_on_where_the_range_began(service: Service) -> None:
    days = [TODAY - timedelta(days=back) for back in (0, 1, 2, 3, 9)]
    kept = await keep(service, dict.fromkeys(days, 8))
    found = [page async for page in pages(service, f"to={TODAY}&days=2&state=missing", 5)]
    assert [len(page) for page in found] == [4, 4, 0, 0, 2]
    assert sorted(batch for page in found for batch in page) == sorted(
        one.batch for one in kept if one.state == "missing"
    )


async def test_ranges_of_the_api_that_follow_each_other_have_each_batch_once(service: Service) -> None:
    days = [TODAY - timedelta(days=back) for back in range(10)]
    kept = await keep(service, dict.fromkeys(days, 3))
    told: list[str] = []
    for last in (TODAY, TODAY - timedelta(days=5)):
        found = await service.get(f"/v1/channel-payouts?date={last}&days=5")
        told += [one["batch"] for one in found["data"]]
    assert told == [
        one.batch for one in sorted(kept, key=lambda one: (-one.settled_on.toordinal(), one.channel))
    ]
    await service.get("/v1/channel-payouts?days=93", 422)
