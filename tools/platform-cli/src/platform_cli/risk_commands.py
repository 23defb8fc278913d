"""`platform risk …`: what is done with the risk engine outside of its service."""

import typer

from platform_cli.risk.alerts import alert_commands


def risk_commands() -> typer.Typer:
    """`risk …`, each command under its own name."""
    group = typer.Typer(help="The risk engine: alerts.", no_args_is_help=True)
    group.callback()(lambda: None)  # a group of one command would otherwise be that command
    group.add_typer(alert_commands(), name="alerts")
    return group
