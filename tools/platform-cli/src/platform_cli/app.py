"""`platform`: runs the platform on a laptop, shows it, demonstrates it."""

import asyncio
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from platform_cli.backup.commands import backup, restore
from platform_cli.daily.commands import add_daily_commands
from platform_cli.data.commands import data_commands
from platform_cli.k8s.commands import kubernetes_commands
from platform_cli.privacy.commands import privacy_commands
from platform_cli.risk.commands import risk_commands
from platform_cli.stack import supervision
from platform_cli.stack.health import DidNotBecomeReady, Health, process_table
from platform_cli.stack.roles import Surroundings
from platform_cli.stack.state import State

main = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=__doc__,
    pretty_exceptions_enable=False,  # its boxes print local variables, secrets among them
)
HERE = "This machine"
WIDTH = None if sys.stdout.isatty() else 110  # a log or a document has no width of its own
console = Console(width=WIDTH)
errors = Console(stderr=True, width=WIDTH)


@main.command(rich_help_panel=HERE)
def up() -> None:
    """Start everything in the background and say where it is. Again: brings back what is missing."""
    from platform_cli.stack.bring_up import bring_up  # here: its libraries take a second to import
    from platform_cli.stack.welcome import welcome

    state = State.default()
    try:
        with console.status("starting") as status:
            running = asyncio.run(bring_up(state, status.update))
    except (DidNotBecomeReady, RuntimeError) as error:
        errors.print("[bold red]The platform did not come up.[/bold red]")
        errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        errors.print("`make logs` shows more, `make down` stops what runs, `make reset` starts from nothing.")
        raise typer.Exit(1) from error
    console.print(welcome(running), highlight=False, soft_wrap=True)


@main.command(rich_help_panel=HERE)
def down() -> None:
    """Stop everything that `up` started; data stays."""
    state = State.default()
    with console.status("stopping"):
        supervision.stop(state)
    state.environment_file.unlink(missing_ok=True)  # its addresses may be somebody else's from now on
    console.print("stopped; the data is kept (`make reset` wipes it)")


@main.command(rich_help_panel=HERE)
def reset() -> None:
    """Stop everything and wipe data, secrets and logs."""
    state = State.default()
    with console.status("stopping and wiping"):
        supervision.stop(state)
        state.wipe()
    console.print("wiped")


@main.command(rich_help_panel=HERE)
def ps(as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False) -> None:
    """Processes: role, pid, port, restarts, health. Exit 1 when nothing runs or something is not ready."""
    state = State.default()
    try:
        rows = asyncio.run(process_table(state, _known(state)))
    except supervision.NotRunning as error:
        errors.print(f"{error}: `make up` starts it")
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        console.print(_table(rows))
    raise typer.Exit(0 if all(row.health == "ready" for row in rows) else 1)


@main.command(rich_help_panel=HERE)
def logs(
    role: Annotated[str | None, typer.Argument(help="one process; all of them without")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines")] = 50,
) -> None:
    """Show the processes' logs (JSON lines) with `tail`."""
    files = sorted(State.default().logs.glob(f"{role or '*'}.log"))
    if not files:
        errors.print(f"no log of {role or 'any process'} yet: `make up` first")
        raise typer.Exit(1)
    follow_option = ["-F"] if follow else []
    os.execvp("tail", ["tail", "-n", str(lines), *follow_option, *map(str, files)])  # noqa: S606 - no shell needed


@main.command(rich_help_panel=HERE)
def demo(
    orders: Annotated[Path | None, typer.Option(help="a CSV like examples/orders.csv")] = None,
    keep: Annotated[bool, typer.Option(help="leave it running, to look around")] = False,
) -> None:
    """Start a copy of its own, drive a day of orders through it, prove that nothing is lost, stop it."""
    from platform_cli.demo.run import run_demo

    raise typer.Exit(run_demo(console, orders, keep=keep))


@main.command(rich_help_panel=HERE)
def doctor() -> None:
    """Check what the local stack needs from this machine. Exit 1 when something is missing."""
    from platform_cli.doctor import diagnose

    findings = diagnose(State.default())
    table = Table("check", "result", "", box=None)
    for finding in findings:
        table.add_row(finding.what, "[green]ok[/green]" if finding.is_ok else "[red]no[/red]", finding.detail)
    console.print(table)
    raise typer.Exit(0 if all(finding.is_ok for finding in findings) else 1)


main.command(rich_help_panel=HERE)(backup)
main.command(rich_help_panel=HERE)(restore)
main.add_typer(kubernetes_commands(), name="k8s", rich_help_panel=HERE)
main.add_typer(risk_commands(), name="risk", rich_help_panel=HERE)
main.add_typer(data_commands(), name="data", rich_help_panel=HERE)
main.add_typer(privacy_commands(), name="privacy", rich_help_panel=HERE)
add_daily_commands(main)


def _known(state: State) -> Surroundings:
    """Enough of the surroundings to ask each process for its health."""
    return Surroundings(state.known_ports(), "", "", state.secrets, state.data / "channels")


def _table(rows: list[Health]) -> Table:
    table = Table("role", "pid", "port", "restarts", "health", box=None)
    for row in rows:
        colour = "green" if row.health == "ready" else "red"
        table.add_row(
            row.role,
            str(row.pid or "-"),
            str(row.port),
            str(row.restarts),
            f"[{colour}]{row.health if row.state == 'RUNNING' else row.state.lower()}[/{colour}]",
        )
    return table


if __name__ == "__main__":
    main()
