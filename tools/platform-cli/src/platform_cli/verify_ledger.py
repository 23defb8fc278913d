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
    for transfer in verification.get("unproved_transfers", []):
        table.add_row("", "", "", f"[red]transfer {transfer} does not follow from the rows before it[/red]")
    for journal in verification.get("wrong_journals", []):
        table.add_row("", "", "", f"[red]journal {journal} does not declare its transfers[/red]")
    chain = verification.get("chain")
    if chain and chain["broken_at"] is not None:
        table.add_row("", "", "", f"[red]the hash chain breaks at position {chain['broken_at']:,}[/red]")
    table.caption = f"{verification['accounts']:,} accounts, {verification['transfers']:,} transfers"
    if chain:
        table.caption += (
            f"; chain of {chain['length']:,}, {chain['behind']:,} behind ({chain['lag_s']:.1f} s)"
        )
    return table
