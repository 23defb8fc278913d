"""`platform data quarantine …`: events that gave no facts, and what is done about them."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from platform_cli.daily.telling import REFUSED, Json, Unclear, console, print_json, print_table, told
from platform_cli.data.pipeline import As, acting_for, pipeline

PATH = "/v1/quarantine"
CALLS_MAX = 1000  # of 500 events each

Ids = Annotated[list[int] | None, typer.Argument(help="rows of `quarantine list`")]
Stream = Annotated[str | None, typer.Option(help="payments or risk")]
First = Annotated[int | None, typer.Option("--from", min=1, help="first position of the stream")]
Last = Annotated[int | None, typer.Option("--to", min=1, help="last position of the stream")]
Kind = Annotated[str | None, typer.Option("--type", help="such as payment.captured.v1")]
Fault = Annotated[str | None, typer.Option(help="unknown_type, contract_violation, …")]
All = Annotated[bool, typer.Option("--all", help="everything that is open")]


class State(StrEnum):
    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


def quarantine_commands() -> typer.Typer:
    """`quarantine …`, each command under its own name."""
    group = typer.Typer(help="Events that gave no facts.", no_args_is_help=True)
    for name, command in (
        ("list", list_quarantine), ("show", show), ("replay", replay), ("discard", discard),
    ):  # fmt: skip
        group.command(name)(told(command))
    return group


def list_quarantine(
    state: Annotated[State | None, typer.Option()] = State.OPEN,
    stream: Stream = None,
    type_: Kind = None,
    fault: Fault = None,
    after: Annotated[int, typer.Option(min=0, help="go on after this row")] = 0,
    count: Annotated[int, typer.Option("-n", min=1, max=100, help="how many")] = 20,
    as_json: Json = False,
) -> None:
    """What was set aside, oldest first. Exit 0, also when there is nothing."""
    page = pipeline().get(
        PATH, state=state, stream=_stream(stream), type=type_, fault=fault, after=after, limit=count
    )
    if as_json:
        print_json(page)
        return
    table = Table("row", "stream", "position", "type", "fault", "why", "tries", "since", "state", box=None)
    for one in page["data"]:
        by = f"{one['state']} by {one['resolved_by']}" if one["resolved_by"] else one["state"]
        table.add_row(
            str(one["id"]), one["stream"], str(one["position"]), one["type"] or "-", one["fault"], one["detail"],
            str(one["attempt_count"]), one["first_seen_at"][:19], by,
        )  # fmt: skip
    print_table(table, "nothing was set aside")
    if page["next_after"] is not None:
        console.print(f"more: --after {page['next_after']}")


def show(row: Annotated[int, typer.Argument(min=1)], as_json: Json = False) -> None:
    """One event as it was received, and why it gave no facts."""
    one = pipeline().get(f"{PATH}/{row}")
    if as_json:
        print_json(one)
        return
    console.print(f"{one['id']}  {one['stream']} {one['position']}  {one['type']}  told by {one['owner']}")
    console.print(f"{one['fault']}: {one['detail']}  ({one['attempt_count']} tries, {one['state']})")
    if one["resolved_by"]:
        console.print(f"{one['resolved_at'][:19]}  {one['resolved_by']}  {one['reason'] or ''}".rstrip())
    console.print(one["payload"], soft_wrap=True)


def replay(
    ids: Ids = None,
    stream: Stream = None,
    first: First = None,
    last: Last = None,
    type_: Kind = None,
    fault: Fault = None,
    everything: All = False,
    reason: Annotated[str | None, typer.Option(help="for whoever reads it in a year")] = None,
    operator: As = None,
    as_json: Json = False,
) -> None:
    """Try open events again: rows, a range, or --all. What was applied before is left alone. Exit 1 when some are
    refused again."""
    body = _choice(ids, stream, first, last, type_, fault, everything) | {"reason": reason}
    server, found = pipeline(), dict[int, dict[str, Any]]()
    for _ in range(CALLS_MAX):
        done = server.change("POST", f"{PATH}/replay", body, acting_for(operator))
        new = {one["id"]: one for one in done["data"] if one["id"] not in found}
        found |= new
        if not done["remaining"] or not new:
            break
    outcomes = [one["outcome"] for one in found.values()]
    if as_json:
        print_json({"data": list(found.values()), "remaining": done["remaining"]})
    else:
        for one in found.values():
            if one["outcome"] != "applied":
                console.print(f"{one['id']}  {one['outcome']}  {one['detail'] or ''}".rstrip())
        counted = ", ".join(f"{outcomes.count(name)} {name}" for name in dict.fromkeys(outcomes))
        console.print(counted or "nothing is open")
    raise typer.Exit(REFUSED if "refused" in outcomes else 0)


def discard(
    reason: Annotated[str, typer.Option(help="why, for whoever reads it in a year")],
    ids: Ids = None,
    stream: Stream = None,
    first: First = None,
    last: Last = None,
    type_: Kind = None,
    fault: Fault = None,
    everything: All = False,
    operator: As = None,
    as_json: Json = False,
) -> None:
    """Close open events without effect. The warehouse goes without them; they stay readable."""
    body = _choice(ids, stream, first, last, type_, fault, everything) | {"reason": reason}
    done = pipeline().change("POST", f"{PATH}/discard", body, acting_for(operator))
    print_json(done) if as_json else console.print(f"{len(done['discarded'])} discarded")


def _choice(
    ids: list[int] | None,
    stream: str | None,
    first: int | None,
    last: int | None,
    type_: str | None,
    fault: str | None,
    everything: bool,
) -> dict[str, Any]:
    choice = {
        "ids": ids or None,
        "stream": _stream(stream),
        "first_position": first,
        "last_position": last,
        "type": type_,
        "fault": fault,
    }
    if not any(choice.values()) and not everything:
        raise Unclear("Say which: rows, --stream with --from and --to, --type, --fault, or --all.")
    return choice | {"all": everything}


def _stream(name: str | None) -> str | None:
    return f"events:{name}" if name and ":" not in name else name
