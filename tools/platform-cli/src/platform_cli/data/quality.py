"""`platform data quality`: can the facts be trusted, and which of their days are not published."""

from typing import Any

import typer
from rich.table import Table

from platform_cli.daily.telling import REFUSED, Json, console, print_json, print_table
from platform_cli.data.pipeline import pipeline


def quality(as_json: Json = False) -> None:
    """Score, broken rules and blocked days of every fact table. Exit 1 while a day is blocked."""
    found = pipeline().get("/v1/quality")
    if as_json:
        print_json(found)
        raise typer.Exit(REFUSED if found["blocked_count"] else 0)
    if not found["is_configured"]:
        console.print("facts are published nowhere: SNAPSHOT_URL or ARCHIVE_URL says where to")
    table = Table("table", "score", "rows", "blocked days", "waiting", "broken rules", box=None)
    for one in found["tables"]:
        score = "-" if one["score"] is None else f"{one['score']:.2%}"
        rules = ", ".join(sorted({failure["rule"] for failure in one["failures"]})) or "-"
        blocked, waiting = " ".join(one["blocked_days"]) or "-", str(len(one["waiting_days"]) or "-")
        table.add_row(one["table"], score, f"{one['row_count']:,}", blocked, waiting, rules)
    print_table(table, "no table")
    if found["waiting_count"] is None:
        console.print("the snapshot did not answer: which days wait is not known", style="yellow")
    for one in found["tables"]:
        for failure in one["failures"]:
            _tell(one["table"], failure)
    raise typer.Exit(REFUSED if found["blocked_count"] else 0)


def _tell(table: str, failure: dict[str, Any]) -> None:
    where = f"{table}.{failure['column']}" if failure["column"] else table
    style = "red" if failure["severity"] == "block" else "yellow"
    verb = "blocks" if failure["severity"] == "block" else "warns"
    console.print(
        f"{failure['day']}  {where}: {failure['rule']} {verb}, {failure['failed_count']:,} rows", style=style
    )
    for row in failure["sample"]:
        console.print("  " + ", ".join(f"{name} {value}" for name, value in row.items()), soft_wrap=True)
