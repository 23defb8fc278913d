"""What a merchant has: balances, and the ledger's accounts behind them."""

from rich.table import Table

from platform_cli.daily.amounts import written
from platform_cli.daily.telling import Json, merchant_gateway, print_json, print_table


def balance(as_json: Json = False) -> None:
    """What is pending, available, in reserve, disputed and on its way out."""
    found = merchant_gateway().get("/v1/balance")
    if as_json:
        print_json(found)
        return
    kinds = ("available", "pending", "reserve", "disputed", "payouts_in_transit")
    table = Table("currency", *(kind.replace("_", " ") for kind in kinds), box=None)
    for one in found["balances"]:
        table.add_row(one["currency"], *(written(one[f"{kind}_minor"], one["currency"]) for kind in kinds))
    print_table(table, "no balance yet")


def accounts(as_json: Json = False) -> None:
    """The merchant's accounts in the ledger, as they are now."""
    found = merchant_gateway().get("/v1/ledger/accounts")["data"]
    if as_json:
        print_json(found)
        return
    table = Table(
        "account", "book", "available", "debits", "credits", "held debits", "held credits", box=None
    )
    kinds = ("available", "debits_posted", "credits_posted", "debits_pending", "credits_pending")
    for one in found:
        counted = (written(one[f"{kind}_minor"], one["currency"]) for kind in kinds)
        table.add_row(one["name"], one["book"], *counted)
    print_table(table, "no accounts yet")
