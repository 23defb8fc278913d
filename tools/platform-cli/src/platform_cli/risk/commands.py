"""`platform risk …`: the daily things with the risk engine, and what is done with it outside of its service."""

import typer

from platform_cli.daily.telling import told
from platform_cli.risk.alerts import alert_commands
from platform_cli.risk.cases import case_commands
from platform_cli.risk.lists import list_commands
from platform_cli.risk.proofs import replay, verify
from platform_cli.risk.rules import rule_commands
from platform_cli.risk.simulate import simulate_history
from platform_cli.risk.staff import staff_commands


def risk_commands() -> typer.Typer:
    """`risk …`, each command under its own name."""
    group = typer.Typer(
        help="The risk engine: its people, rules, lists, alerts, cases and proofs.", no_args_is_help=True
    )
    group.add_typer(staff_commands(), name="staff")
    group.add_typer(rule_commands(), name="rules")
    group.add_typer(list_commands(), name="lists")
    group.add_typer(alert_commands(), name="alerts")
    group.command("replay")(told(replay))
    group.command("verify")(told(verify))
    group.add_typer(case_commands(), name="cases")
    group.command("simulate")(simulate_history)
    return group
