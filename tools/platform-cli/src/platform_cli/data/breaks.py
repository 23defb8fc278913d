"""`platform data breaks …`: what channels and ledger do not agree on, and what is done about it."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.table import Table

from platform_cli.daily.amounts import written
from platform_cli.daily.telling import Json, console, print_json, print_table, told
from platform_cli.data.pipeline import WHO, acting_for, pipeline

PATH = "/v1/breaks"

By = Annotated[str | None, typer.Option("--as", "--by", help=WHO)]
BreakId = Annotated[str, typer.Argument(help="brk_…")]
Note = Annotated[str, typer.Option(help="why, for whoever reads it in a year")]


class Which(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    ALL = "all"


class Reason(StrEnum):
    """Why it closes; approve and reject answer what another person proposed."""

    ACCEPT = "accept"
    WRITE_OFF = "write_off"
    CLAIM = "claim"
    CORRECT = "correct"
    APPROVE = "approve"
    REJECT = "reject"


def break_commands() -> typer.Typer:
    """`breaks …`, each command under its own name."""
    group = typer.Typer(help="What does not match between ledger, channel and bank.", no_args_is_help=True)
    for name, command in (
        ("list", list_breaks), ("show", show), ("note", note_it), ("close", close), ("evidence", evidence),
    ):  # fmt: skip
        group.command(name)(told(command))
    return group


def list_breaks(
    which: Annotated[Which, typer.Argument()] = Which.OPEN,
    channel: Annotated[str | None, typer.Option(help="such as card_sim")] = None,
    kind: Annotated[str | None, typer.Option("--class", help="such as fee_differs")] = None,
    owner: Annotated[str | None, typer.Option()] = None,
    count: Annotated[int, typer.Option("-n", min=1, max=500, help="the oldest so many")] = 50,
    as_json: Json = False,
) -> None:
    """The oldest first: that is the order of work. Exit 0, also when there are none."""
    wanted = None if which is Which.ALL else str(which is Which.OPEN).lower()
    found = pipeline().get(PATH, open=wanted, channel=channel, break_class=kind, owner=owner, limit=count)
    if as_json:
        for one in found["data"]:
            print_json(one)
        return
    table = Table("break", "day", "channel", "class", "difference", "open", "state", "owner", box=None)
    for one in found["data"]:
        state = "closed" if one["closed_at"] and one["state"] == "open" else one["state"]
        table.add_row(
            one["id"], one["day"], one["channel"], one["break_class"], _money(one["difference_minor"]),
            one["age_band"], state, one["owner"] or "-",
        )  # fmt: skip
    print_table(table, "no breaks")


def show(break_id: BreakId, as_json: Json = False) -> None:
    """One break: both sides, the difference, and what was done about it."""
    found = pipeline().get(f"{PATH}/{break_id}")
    if as_json:
        print_json(found)
        return
    console.print(f"{found['id']}  {found['day']}  {found['channel']}  {found['break_class']}")
    console.print(f"ledger   {_side(found, 'ledger')}  {found['journal_id'] or ''}".rstrip())
    line = f"line {found['file_line']} of {found['file_sha256'][:12]}" if found["file_line"] else ""
    console.print(f"channel  {_side(found, 'file')}  {line}".rstrip())
    if found["expected_fee_minor"] is not None:
        agreed, kept = (
            written(found[name], found["file_currency"]) for name in ("expected_fee_minor", "file_fee_minor")
        )
        console.print(f"fee      {agreed} agreed, {kept} kept")
    four = ", takes two people" if found["takes_four_eyes"] else ""
    console.print(f"differs  {_money(found['difference_minor'])}{four}")
    console.print(f"state    {found['state']}, {found['days_open']} days, owner {found['owner'] or '-'}")
    for act in found["acts"]:
        console.print(f"{act['at'][:19]}  {act['act']} by {act['actor']}  {act['note'] or ''}".rstrip())


def note_it(
    break_id: BreakId,
    note: Note,
    by: By = None,
    owner: Annotated[str | None, typer.Option(help="whose it is from now on")] = None,
    as_json: Json = False,
) -> None:
    """Write down what you found, or give it to somebody."""
    body = {"act": "assign" if owner else "note", "note": note, "owner": owner}
    _tell(_act(break_id, body, by), as_json)


def close(
    break_id: BreakId,
    reason: Annotated[Reason, typer.Argument()],
    note: Note,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Close it with a reason. Above a limit that is a proposal: another person approves or rejects it."""
    _tell(_act(break_id, {"act": reason.value, "note": note}, by), as_json)


def evidence(break_id: BreakId) -> None:
    """All that is known of it as JSON: both lines, hash and line of the file, rule, amounts, who did what."""
    typer.echo(json.dumps(pipeline().get(f"{PATH}/{break_id}/evidence"), indent=2, sort_keys=True))


def _act(break_id: str, body: Mapping[str, Any], by: str | None) -> dict[str, Any]:
    return pipeline().change("POST", f"{PATH}/{break_id}/acts", body, acting_for(by))


def _tell(found: dict[str, Any], as_json: bool) -> None:
    waits = " and waits for a second person" if found["state"] == "proposed" else ""
    print_json(found) if as_json else console.print(f"{found['id']} is {found['state']}{waits}")


def _side(found: Mapping[str, Any], side: str) -> str:
    minor, currency = found[f"{side}_amount_minor"], found[f"{side}_currency"]
    return "nothing" if minor is None else f"{found['settled_type']} {written(minor, currency)}"


def _money(by_currency: Mapping[str, int]) -> str:
    return ", ".join(written(minor, currency) for currency, minor in sorted(by_currency.items())) or "-"
