"""`platform risk …`: the daily things with the risk engine, and what is done with it outside of its service."""

import typer

from platform_cli.risk.alerts import alert_commands
from platform_cli.risk.simulate import simulate_history


def risk_commands() -> typer.Typer:
    """`risk …`, each command under its own name."""
    group = typer.Typer(
        help="The risk engine: alerts, and simulated histories for models.", no_args_is_help=True
    )
    group.add_typer(alert_commands(), name="alerts")
    group.command("simulate")(simulate_history)
    return group
