"""Registering an endpoint: a secret shown once, a URL that leads outside, a limit that holds under a race."""

from __future__ import annotations

import asyncio

import pytest
from webhook_rig import WebhookRig, run_webhook_rig

from payment_gateway.operations.manage_webhook_endpoints import (
    ENDPOINTS_MAX,
    TooManyWebhookEndpoints,
    WebhookUrlNotAllowed,
    list_webhook_endpoints,
)
from platform_cli.embedded.testing import FreshDatabase


async def test_the_secret_is_shown_once_and_never_listed(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    made = await rig.an_endpoint(merchant, "/hook")
    assert made["secret"].startswith("whsec_")
    (listed,) = (await list_webhook_endpoints(rig.deps, merchant)).endpoints
    assert listed == {name: value for name, value in made.items() if name != "secret"}


async def test_a_merchant_sees_only_its_own(rig: WebhookRig) -> None:
    merchant, other = await rig.a_merchant(), await rig.a_merchant()
    await rig.an_endpoint(merchant, "/hook")
    assert (await list_webhook_endpoints(rig.deps, other)).endpoints == []


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/",
        "https://localhost/",
        "http://shop.example.com/",
        "https://example.com:22/",
        "x",
    ],
)
async def test_a_url_that_could_lead_inside_is_refused(fresh_database: FreshDatabase, url: str) -> None:
    database = await fresh_database("payments")
    async with run_webhook_rig(database.app_url, webhook_allow_private=False) as rig:
        merchant = await rig.a_merchant()
        with pytest.raises(WebhookUrlNotAllowed) as refused:
            await rig.an_endpoint_at(merchant, url)
        assert (refused.value.status, refused.value.code) == (422, "webhook-url-not-allowed")
        assert url not in str(refused.value.body("/", None)), "the refusal never repeats the input"
        assert (await list_webhook_endpoints(rig.deps, merchant)).endpoints == []


async def test_a_merchant_has_no_more_endpoints_than_the_limit_even_in_a_race(rig: WebhookRig) -> None:
    merchant = await rig.a_merchant()
    made = await asyncio.gather(
        *(rig.an_endpoint(merchant, f"/{number}") for number in range(ENDPOINTS_MAX + 4)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, TooManyWebhookEndpoints) for result in made) == 4
    assert len((await list_webhook_endpoints(rig.deps, merchant)).endpoints) == ENDPOINTS_MAX
