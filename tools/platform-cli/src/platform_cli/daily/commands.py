"""The daily commands, put together: `platform pay`, `refund`, `list`, `tail`, `replay` …"""

import typer

from platform_cli.daily.acts import cancel, capture, confirm, pay, refund, void
from platform_cli.daily.completion import completion
from platform_cli.daily.disputes import dispute_commands
from platform_cli.daily.events import tail
from platform_cli.daily.keys import key_commands
from platform_cli.daily.ledger import ledger_commands
from platform_cli.daily.merchants import merchant_commands
from platform_cli.daily.money import accounts, balance
from platform_cli.daily.payments import list_payments, show
from platform_cli.daily.payouts import payout_commands
from platform_cli.daily.suspense import suspense_commands
from platform_cli.daily.telling import told
from platform_cli.daily.webhooks import deliveries, endpoint_commands, replay
from platform_cli.verify_ledger import verify_ledger

PAYMENTS, EVENTS, MONEY = "Payments", "Events and webhooks", "Money and merchants"


def add_daily_commands(main: typer.Typer) -> None:
    """Put the daily commands into the help, in panels of their own."""
    for name, command, panel in (
        ("pay", pay, PAYMENTS), ("confirm", confirm, PAYMENTS), ("capture", capture, PAYMENTS),
        ("cancel", cancel, PAYMENTS), ("void", void, PAYMENTS), ("refund", refund, PAYMENTS),
        ("show", show, PAYMENTS), ("list", list_payments, PAYMENTS),
        ("tail", tail, EVENTS), ("deliveries", deliveries, EVENTS), ("replay", replay, EVENTS),
        ("balance", balance, MONEY), ("accounts", accounts, MONEY), ("verify-ledger", verify_ledger, MONEY),
    ):  # fmt: skip
        main.command(name, rich_help_panel=panel)(told(command))
    main.add_typer(endpoint_commands(), name="endpoints", rich_help_panel=EVENTS)
    main.add_typer(dispute_commands(), name="disputes", rich_help_panel=MONEY)
    main.add_typer(payout_commands(), name="payouts", rich_help_panel=MONEY)
    main.add_typer(key_commands(), name="keys", rich_help_panel=MONEY)
    main.add_typer(ledger_commands(), name="ledger", rich_help_panel=MONEY)
    main.add_typer(merchant_commands(), name="merchants", rich_help_panel=MONEY)
    main.add_typer(suspense_commands(), name="suspense", rich_help_panel=MONEY)
    main.command("completion", rich_help_panel="This machine")(completion)
