"""`platform data archive …`: what the archive holds, and the proof that it does."""

from datetime import date, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from platform_cli.daily.telling import REFUSED, Json, console, print_json, print_table, told
from platform_cli.data.pipeline import pipeline

PATH = "/v1/archive"
DAYS_PER_CALL = 7

FirstDay = Annotated[
    str | None, typer.Option("--from", help="first UTC day, 2026-11-23; without it the oldest")
]
LastDay = Annotated[str | None, typer.Option("--to", help="last UTC day; without it the newest")]


def archive_commands() -> typer.Typer:
    """`archive …`, each command under its own name."""
    group = typer.Typer(help="Events as Parquet files.", no_args_is_help=True)
    for name, command in (("list", list_partitions), ("verify", verify), ("retention", retention)):
        group.command(name)(told(command))
    return group


def list_partitions(as_json: Json = False) -> None:
    """What is archived, by stream and day, and how far each stream is."""
    found = pipeline().get(PATH)
    if as_json:
        print_json(found)
        return
    if not found["is_configured"]:
        console.print("no archive: ARCHIVE_URL says where to")
    for one in found["streams"]:
        console.print(f"{one['stream']}  archived {one['position']:,} of {one['consumed'] or 0:,}")
    _print_partitions(found["partitions"], "nothing is archived yet")


def retention(as_json: Json = False) -> None:
    """What would be let go now by ARCHIVE_KEEP_DAYS. Drops nothing."""
    found = pipeline().get(PATH)
    if as_json:
        print_json({"keep_days": found["keep_days"], "would_drop": found["would_drop"]})
        return
    days = found["keep_days"]
    console.print(f"days are kept for {days} days" if days else "days are kept for good")
    _print_partitions(found["would_drop"], "nothing would be dropped")


def verify(first: FirstDay = None, last: LastDay = None, as_json: Json = False) -> None:
    """Read every file, and hold it against its manifest and the event store. Exit 1 when something is amiss."""
    server = pipeline()
    days = sorted(date.fromisoformat(one["day"]) for one in server.get(PATH)["partitions"])
    if not days and not (first and last):
        console.print("nothing is archived yet")
        return
    begin, end = date.fromisoformat(first or str(days[0])), date.fromisoformat(last or str(days[-1]))
    files, rows, faults = 0, 0, list[str]()
    while begin <= end:
        until = min(end, begin + timedelta(days=DAYS_PER_CALL - 1))
        done = server.change(
            "POST", f"{PATH}/verifications", {"first": begin.isoformat(), "last": until.isoformat()}
        )
        files, rows, faults = files + done["files"], rows + done["rows"], faults + done["faults"]
        begin = until + timedelta(days=1)
    if as_json:
        print_json({"files": files, "rows": rows, "faults": faults})
    else:
        for fault in faults:
            console.print(fault, style="red", soft_wrap=True)
        console.print(f"{files:,} files, {rows:,} events, {len(faults)} faults")
    raise typer.Exit(REFUSED if faults else 0)


def _print_partitions(partitions: list[dict[str, Any]], empty: str) -> None:
    table = Table("stream", "day", "files", "events", "bytes", "positions", box=None)
    for one in partitions:
        table.add_row(
            one["stream"], one["day"], str(one["file_count"]), f"{one['row_count']:,}", f"{one['byte_count']:,}",
            f"{one['first_position']} to {one['last_position']}",
        )  # fmt: skip
    print_table(table, empty)
