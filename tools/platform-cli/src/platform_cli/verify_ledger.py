"""The gateway's own recomputation of its ledger, asked for and shown."""

from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from platform_cli.daily.telling import REFUSED, Json, admin_gateway, console, errors, print_json


def verify_ledger(as_json: Json = False) -> None:
    """Ask the gateway to recompute every balance from the transfers. Exit 1 when anything differs."""
    gateway = admin_gateway()
    with errors.status("recomputing"):
        verification = gateway.get(
            "/v1/ledger/verification"
        )  # {"balanced", "currencies", "differences", ...}
    if as_json:
        print_json(verification)
    else:
        console.print(render_verification(verification))
    raise typer.Exit(0 if verification["balanced"] else REFUSED)


def render_verification(verification: dict[str, Any]) -> Table:
    """A line per currency, and the differences if there are any."""
    title = "ledger balanced" if verification["balanced"] else "LEDGER NOT BALANCED"
    table = Table("currency", "debits", "credits", "difference", title=title, box=None)
    for line in verification["currencies"]:
        debits, credits = line["debits_minor"], line["credits_minor"]
        table.add_row(line["currency"], f"{debits:,}", f"{credits:,}", f"{debits - credits:,}")
    for difference in verification["differences"]:
        table.add_row("", "", "", Text(str(difference), "red"))
    for transfer in verification.get("unproved_transfers", []):
        table.add_row("", "", "", Text(f"transfer {transfer} does not follow from the rows before it", "red"))
    for journal in verification.get("wrong_journals", []):
        table.add_row("", "", "", Text(f"journal {journal} does not declare its transfers", "red"))
    for rounding in verification.get("fx_rounding", []):
        if not rounding["explained"]:
            said = f"the conversions into {rounding['currency']} do not explain its rounding account"
            table.add_row("", "", "", Text(said, "red"))
    chain = verification.get("chain")
    if chain and chain["broken_at"] is not None:
        table.add_row("", "", "", Text(f"the hash chain breaks at position {chain['broken_at']:,}", "red"))
    table.caption = f"{verification['accounts']:,} accounts, {verification['transfers']:,} transfers"
    if chain:
        table.caption += (
            f"; chain of {chain['length']:,}, {chain['behind']:,} behind ({chain['lag_s']:.1f} s)"
        )
    return table
