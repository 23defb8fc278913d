"""The gateway's own recomputation of its ledger, asked for and shown."""

from typing import Any

import aiohttp
from rich.table import Table

TIMEOUT = aiohttp.ClientTimeout(total=120)  # it reads every transfer


async def fetch_verification(gateway_url: str, admin_api_key: str) -> dict[str, Any]:
    """`{"balanced", "accounts", "transfers", "currencies": [...], "differences": [...]}`."""
    headers = {"Authorization": f"Bearer {admin_api_key}"}
    async with (
        aiohttp.ClientSession(gateway_url, timeout=TIMEOUT) as session,
        session.get("/v1/ledger/verification", headers=headers) as reply,
    ):
        reply.raise_for_status()
        body: dict[str, Any] = await reply.json()
    return body


def render_verification(verification: dict[str, Any]) -> Table:
    """A line per currency, and the differences if there are any."""
    title = "ledger balanced" if verification["balanced"] else "LEDGER NOT BALANCED"
    table = Table("currency", "debits", "credits", "difference", title=title, box=None)
    for line in verification["currencies"]:
        debits, credits = line["debits_minor"], line["credits_minor"]
        table.add_row(line["currency"], f"{debits:,}", f"{credits:,}", f"{debits - credits:,}")
    for difference in verification["differences"]:
        table.add_row("", "", "", f"[red]{difference}[/red]")
    table.caption = f"{verification['accounts']:,} accounts, {verification['transfers']:,} transfers"
    return table
