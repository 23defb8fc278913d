"""What the demo's shop agreed on, and what it is owed in the end: the same calls as `platform data settlements`."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
from rich.table import Table

from platform_cli.audit.witnesses import Endpoints
from platform_cli.daily.amounts import written
from platform_cli.stack.operator import DEMO_OPERATOR

# Settled at once and paid out by itself, so that a day fits into two minutes.
TERMS: Final = {
    "settlement_delay_days": 0,
    "payout_destination": "ba_pays",
    "reserve": {"basis_points": 500, "days": 180},
    "fee_plan": {
        "rules": [{"basis_points": 140, "fixed_minor": {"EUR": 25, "USD": 30}}],
        "returns_on_refund": True,
    },
}
TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
OPENED_WITHIN_S: Final = 30.0  # the worker looks every ten seconds on a laptop
POLL_S: Final = 0.5


async def agree_terms(at: Endpoints, merchant_id: str) -> None:
    """Raises RuntimeError when the gateway does not take them."""
    headers = {"Authorization": f"Bearer {at.admin_api_key}"}
    url = f"{at.gateway_url}/v1/merchants/{merchant_id}/terms"
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.put(url, json=TERMS, headers=headers) as reply,
    ):
        if reply.status != 200:
            raise RuntimeError(f"the gateway did not take the terms: {reply.status} {await reply.text()}")


async def close_settlements(at: Endpoints) -> list[dict[str, Any]]:
    """Close every open batch, as somebody would who wants to see a statement today."""
    url, headers = f"{at.pipeline_url}/v1/settlements", {"Authorization": f"Bearer {at.internal_token}"}
    async with aiohttp.ClientSession(timeout=TIMEOUT, headers=headers) as session:
        closed = []
        for batch in await _open(session, url):
            async with session.post(
                f"{url}/{batch['id']}/close", json={}, headers={"Acting-For": DEMO_OPERATOR}
            ) as reply:
                if reply.status != 200:
                    raise RuntimeError(f"{batch['id']} was not closed: {reply.status} {await reply.text()}")
                closed.append(await reply.json())
    return closed


async def _open(session: aiohttp.ClientSession, url: str) -> list[dict[str, Any]]:
    deadline = asyncio.get_running_loop().time() + OPENED_WITHIN_S
    while True:
        async with session.get(url, params={"state": "open"}) as reply:
            found: list[dict[str, Any]] = (await reply.json())["data"]
        if found or asyncio.get_running_loop().time() > deadline:
            return found
        await asyncio.sleep(POLL_S)


def settled(closed: Sequence[dict[str, Any]]) -> Table:
    """What each currency comes to."""
    table = Table("settled", title="What the shop is owed", title_justify="left", box=None)
    for heading in ("lines", "captured", "refunded", "fees", "in reserve", "paid out", "carried over"):
        table.add_column(heading, justify="right")
    for batch in sorted(closed, key=lambda one: str(one["currency"])):
        sums, currency = batch["sections"], batch["currency"]
        amounts = (
            sums["captures"], sums["refunds"], sums["fees"], -sums["reserve"], -sums["payouts"], batch["closing_minor"],
        )  # fmt: skip
        told = (written(amount, currency) for amount in amounts)
        table.add_row(batch["id"], f"{batch['line_count']:,}", *told)
    return table
