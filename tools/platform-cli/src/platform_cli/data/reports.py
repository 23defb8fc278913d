"""`platform data report|export …`: figures of the warehouse on the screen, or in a file."""

import hashlib
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.request import urlopen

import typer
from rich.table import Table

from platform_cli.daily.telling import REFUSED, Json, console, print_json, print_table, told
from platform_cli.data.pipeline import As, acting_for, pipeline

WAIT_MAX_S = 600.0
POLL_S = 1.0

After = Annotated[str | None, typer.Option("--from", help="2026-11-01T00:00:00Z; 30 days before --to")]
Before = Annotated[str | None, typer.Option("--to", help="not included; now")]
Zone = Annotated[str, typer.Option("--time-zone", help="an IANA name, such as Europe/Berlin")]
By = Annotated[list[str] | None, typer.Option("--by", help="split by merchant_id, channel, method, …")]
Merchant = Annotated[str | None, typer.Option("--merchant")]
Channel = Annotated[str | None, typer.Option("--channel")]
Method = Annotated[str | None, typer.Option("--method")]
Currency = Annotated[str | None, typer.Option("--currency")]


class Grain(StrEnum):
    TOTAL = "total"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Format(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"


def report(
    name: Annotated[str | None, typer.Argument(help="without one: which reports there are")] = None,
    after: After = None,
    before: Before = None,
    zone: Zone = "UTC",
    grain: Grain = Grain.TOTAL,
    by: By = None,
    merchant: Merchant = None,
    channel: Channel = None,
    method: Method = None,
    currency: Currency = None,
    as_json: Json = False,
) -> None:
    """A report over live facts; without a name, the reports there are and what each can be split by."""
    if name is None:
        _catalogue(as_json)
        return
    words = {"merchant_id": merchant, "channel": channel, "method": method, "currency": currency}
    query = {"from": after, "to": before, "time_zone": zone, "grain": grain, "by": ",".join(by or []) or None}
    found = pipeline().get(f"/v1/reports/{name}", **(query | words))
    if as_json:
        print_json(found)
        return
    table = Table(box=None)
    for column in found["columns"]:
        table.add_column(column["name"], justify="left" if column["type"] in ("text", "time") else "right")
    for row in found["rows"]:
        table.add_row(*(_cell(row[column["name"]], column) for column in found["columns"]))
    print_table(table, "no facts in this range")
    position = found["as_of"]["payments"]
    more = "; there are more rows: ask coarser, or export" if found["has_more"] else ""
    console.print(f"{found['meaning']} True of position {position['position']:,}{more}")
    if snapshot := found["snapshot"]:
        console.print(f"From the snapshot of {snapshot['made_at']}, by {found['engine']}")
        for word in ("blocked", "waiting"):
            if days := snapshot[word]:
                listed = ", ".join(f"{one['table']} of {one['day']}" for one in days)
                console.print(f"{word}, told as they were before: {listed}", style="yellow", soft_wrap=True)


def export(
    subject: Annotated[str, typer.Argument(help="payments, or the name of a report")],
    to: Annotated[Path | None, typer.Option("--out", "-o", help="where the file goes")] = None,
    format_: Annotated[Format, typer.Option("--format", "-f")] = Format.CSV,
    after: After = None,
    before: Before = None,
    zone: Zone = "UTC",
    grain: Grain = Grain.TOTAL,
    by: By = None,
    merchant: Merchant = None,
    channel: Channel = None,
    method: Method = None,
    currency: Currency = None,
    operator: As = None,
    as_json: Json = False,
) -> None:
    """Ask for a file, wait until it is made, fetch it and check it against its manifest. Exit 1 when it cannot be."""
    body: dict[str, Any] = {
        "subject": subject, "format": format_, "from": after, "to": before, "time_zone": zone, "grain": grain,
        "by": by or [], "merchant_id": merchant, "channel": channel, "method": method, "currency": currency,
    }  # fmt: skip
    door = pipeline()
    made = door.change("POST", "/v1/exports", body, acting_for(operator))
    until = time.monotonic() + WAIT_MAX_S
    with console.status("due") as status:
        while made["state"] in ("due", "running") and time.monotonic() < until:
            status.update(f"{made['state']}  {made['progress_percent']} %  {made['row_count']:,} rows")
            time.sleep(POLL_S)
            made = door.get(f"/v1/exports/{made['id']}")
    if made["state"] != "done":
        console.print(f"{made['id']} is {made['state']}: {made['fault'] or 'the worker has not made it yet'}")
        raise typer.Exit(REFUSED)
    path = to or Path(f"{made['id']}.{made['format']}")
    digest = fetch(door.url + made["download"]["path"], path)
    manifest = made["manifest"]
    if as_json:
        print_json(made)
    if digest != manifest["sha256"]:
        console.print(f"{path} is not what its manifest says: fetch it again", style="red")
        raise typer.Exit(REFUSED)
    if not as_json:
        told_of = f"{manifest['row_count']:,} rows  {manifest['byte_count']:,} bytes  sha256 {digest}"
        console.print(f"{path}  {told_of}", soft_wrap=True)
        for currency, sums in manifest["totals"].items():
            console.print("  ".join([currency, *(f"{name} {value:,}" for name, value in sums.items())]))


def add_report_commands(group: typer.Typer) -> None:
    """`report` and `export` beside the groups."""
    for name, command in (("report", report), ("export", export)):
        group.command(name)(told(command))


def _catalogue(as_json: bool) -> None:
    found = pipeline().get("/v1/reports")["data"]
    if as_json:
        print_json(found)
        return
    table = Table("report", "what it counts", "always by", "also by", box=None)
    for one in found:
        always = [column["name"] for column in one["columns"] if column["type"] == "text"]
        table.add_row(one["report"], one["title"], ", ".join(always), ", ".join(one["by"]))
    print_table(table, "no reports")


def _cell(value: Any, column: dict[str, Any]) -> str:
    if value is None:
        return "-"
    if column["unit"] == "share":
        return f"{value:.2%}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def fetch(url: str, path: Path) -> str:
    """Save what a link opens; its SHA-256."""
    digest = hashlib.sha256()
    with urlopen(url, timeout=60) as answer, path.open("wb") as out:  # noqa: S310 - the address is our own pipeline's
        while chunk := answer.read(1 << 18):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()
