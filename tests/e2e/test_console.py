"""An operator sees a payment soon after it was made."""

import secrets
from typing import Any


async def test_a_payment_reaches_the_warehouse_and_the_console(
    merchant: Any, pipeline: Any, eventually: Any
) -> None:
    paid = (await merchant.pay(amount_minor=2777, reference=f"console-{secrets.token_hex(4)}")).body

    async def shown() -> bool:
        page = await pipeline.get("/console")
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/html")
        return paid["id"].encode() in page.raw

    await eventually(shown, "the console did not show the payment", within_s=20)


async def test_the_start_page_leads_to_the_console(pipeline: Any) -> None:
    page = await pipeline.get("/")
    assert page.status == 200
    assert b"<html" in page.raw.lower()


async def test_the_overview_has_today_s_volume(merchant: Any, pipeline: Any, eventually: Any) -> None:
    await merchant.pay()

    async def counted() -> bool:
        return bool((await pipeline.get("/v1/reports/overview")).body["payment_count"] > 0)

    await eventually(counted, "no payment in the overview", within_s=20)
