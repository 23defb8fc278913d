"""`platform data replay …`: facts and roll-ups built anew from the archive."""

import time
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from platform_cli.daily.gateway import Gateway
from platform_cli.daily.telling import REFUSED, Json, console, errors, print_json, print_table, told
from platform_cli.data.pipeline import As, acting_for, pipeline

PATH = "/v1/replays"
POLL_S = 1.0
OPEN = ("requested", "building")

RunId = Annotated[str, typer.Argument(help="rpl_…")]
Watch = Annotated[bool, typer.Option("--watch", help="wait for its end, with a progress bar")]


def replay_commands() -> typer.Typer:
    """`replay …`, each command under its own name."""
    group = typer.Typer(help="Facts and roll-ups, built anew from the archive.", no_args_is_help=True)
    for name, command in (("start", start), ("list", list_replays), ("show", show), ("cancel", cancel)):
        group.command(name)(told(command))
    return group


def start(
    reason: Annotated[str, typer.Option(help="why, for whoever reads it in a year")],
    may_differ: Annotated[
        bool, typer.Option("--may-differ", help="swap also when totals are others")
    ] = False,
    watch: Watch = False,
    operator: As = None,
    as_json: Json = False,
) -> None:
    """Ask for a replay: the worker builds copies, compares, and swaps them in. With --watch, exit 1 unless it did."""
    server = pipeline()
    body = {"reason": reason, "may_differ": may_differ}
    _tell(server, server.change("POST", PATH, body, acting_for(operator)), watch, as_json)


def list_replays(as_json: Json = False) -> None:
    """The latest replays. Exit 0, also when there are none."""
    found = pipeline().get(PATH)["data"]
    if as_json:
        print_json(found)
        return
    table = Table("replay", "state", "events", "by", "since", "why", box=None)
    for one in found:
        done = f"{one['done_count']:,} of {one['row_count']:,}"
        table.add_row(one["id"], one["state"], done, one["actor"], one["started_at"][:19], one["reason"])
    print_table(table, "no replays")


def show(run: RunId, watch: Watch = False, as_json: Json = False) -> None:
    """One replay, with its progress and how its totals compare."""
    server = pipeline()
    _tell(server, server.get(f"{PATH}/{run}"), watch, as_json)


def cancel(run: RunId, operator: As = None, as_json: Json = False) -> None:
    """Stop an open replay; the live tables were never touched."""
    server = pipeline()
    _tell(server, server.change("POST", f"{PATH}/{run}/cancel", {}, acting_for(operator)), False, as_json)


def _tell(server: Gateway, run: dict[str, Any], watch: bool, as_json: bool) -> None:
    if watch:
        run = _watched(server, run)
    if as_json:
        print_json(run)
    else:
        console.print(f"{run['id']}  {run['state']}  {run['done_count']:,} of {run['row_count']:,} events")
        if run["detail"]:
            console.print(run["detail"], soft_wrap=True)
        for name, sides in ((run["totals"] or {}).get("differing") or {}).items():
            console.print(f"{name}: {sides['live']:,} live, {sides['rebuilt']:,} rebuilt")
    if watch and run["state"] != "swapped":
        raise typer.Exit(REFUSED)


def _watched(server: Gateway, run: dict[str, Any]) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors) as progress:
        bar = progress.add_task(run["state"], total=None)
        while run["state"] in OPEN:
            time.sleep(POLL_S)
            run = server.get(f"{PATH}/{run['id']}")
            progress.update(
                bar, description=run["state"], completed=run["done_count"], total=run["row_count"] or None
            )
    return run
