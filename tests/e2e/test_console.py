"""An operator logs in and sees a payment soon after it was made."""

import os
import re
import secrets
from typing import Any

import aiohttp
import pytest


@pytest.fixture
async def console(pipeline: Any) -> Any:
    """GET a page as the operator of the environment."""
    name, password = os.environ.get("CONSOLE_OPERATOR"), os.environ.get("CONSOLE_PASSWORD")
    if not name or not password:
        pytest.skip("CONSOLE_OPERATOR and CONSOLE_PASSWORD are not set: nobody looks at this console")
    form = await pipeline.get("/console/log-in")
    token = re.search(rb'name="form_token" value="([0-9a-f]+)"', form.raw).group(1).decode()
    answered = await pipeline.send(
        "POST",
        "/console/log-in",
        data={"name": name, "password": password, "form_token": token},
        headers={"Cookie": cookie_of(form)},
        allow_redirects=False,
    )
    assert answered.status == 303, answered.raw
    cookie = cookie_of(answered)

    async def get(path: str) -> Any:
        return await pipeline.send("GET", path, headers={"Cookie": cookie})

    return get


def cookie_of(reply: Any) -> str:
    """By hand: a client's jar sends no secure cookie over plain HTTP, as which the port of a cluster is reached."""
    return str(reply.headers["Set-Cookie"]).partition(";")[0]


async def test_a_payment_reaches_the_warehouse_and_the_console(
    merchant: Any, console: Any, eventually: Any
) -> None:
    paid = (await merchant.pay(amount_minor=2777, reference=f"console-{secrets.token_hex(4)}")).body

    async def shown() -> bool:
        page = await console("/console")
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/html")
        return paid["id"].encode() in page.raw

    await eventually(shown, "the console did not show the payment", within_s=20)


async def test_the_start_page_leads_to_the_log_in(platform: Any, pipeline: Any) -> None:
    async with aiohttp.ClientSession() as nobody, nobody.get(f"{platform.pipeline_url}/") as page:
        assert page.status == 200
        assert page.url.path == "/console/log-in"
        assert "<html" in (await page.text())


async def test_the_overview_has_today_s_volume(merchant: Any, pipeline: Any, eventually: Any) -> None:
    await merchant.pay()

    async def counted() -> bool:
        return bool((await pipeline.get("/v1/reports/overview")).body["payment_count"] > 0)

    await eventually(counted, "no payment in the overview", within_s=20)
