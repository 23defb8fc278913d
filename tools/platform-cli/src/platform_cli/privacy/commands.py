"""`platform privacy …`: have somebody forgotten, and prove by a scan of everything that nothing readable is left."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from platform_cli.daily.gateway import NothingRuns
from platform_cli.daily.telling import (
    REFUSED,
    Json,
    Key,
    Unclear,
    admin_gateway,
    console,
    merchant_gateway,
    print_json,
    print_table,
    say,
    told,
)
from platform_cli.privacy.scrub import scrub
from platform_cli.privacy.sought import LEAST, Findings, Sought, sought_of
from platform_cli.stack.backends import choose_backends
from platform_cli.stack.state import State

ERASURES, PROOFS = "/v1/erasures", "/v1/admin/erasures"

Files = Annotated[
    list[str] | None,
    typer.Option(
        "--files", help="a folder or address (s3://…) to look through: archive, exports, logs; repeat it"
    ),
]
Database = Annotated[
    str | None,
    typer.Option("--database", help="as a role that reads all; SCAN_DATABASE_URL; this copy's by default"),
]
RedisUrls = Annotated[
    list[str] | None,
    typer.Option(
        "--redis",
        help="with its password in it; repeat it where broker, streams and velocity have servers of their own;"
        " SCAN_REDIS_URL, with spaces between; this copy's by default",
    ),
]
# What always stands in the Redis of each use: who was not shown it has not seen that Redis.
REDIS_USES = {
    "the streams": "redis stream events:",
    "the broker": "redis set _kombu.binding.",
    "velocity": "redis string vel",
}


def privacy_commands() -> typer.Typer:
    """`privacy erase`, `list`, `report`, `scan`, `scrub`."""
    group = typer.Typer(no_args_is_help=True, help="Personal data: erase somebody, prove that it is gone.")
    group.command("erase")(told(erase))
    group.command("list")(told(list_all))
    group.command("report")(told(report))
    group.command("scan")(told(scan))
    group.command("scrub")(told(scrub))
    return group


def erase(
    customer_id: Annotated[str | None, typer.Option(help="a saved customer, cus_…")] = None,
    customer: Annotated[str | None, typer.Option(help="the merchant's own id of a payer")] = None,
    email: Annotated[str | None, typer.Option(help="of payers without an id")] = None,
    payment_id: Annotated[str | None, typer.Option(help="whoever paid it")] = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Ask that somebody be forgotten, as their merchant. The keys die within minutes; `report` proves it."""
    whom = {"customer_id": customer_id, "customer": customer, "email": email, "payment_id": payment_id}
    if sum(value is not None for value in whom.values()) != 1:
        raise Unclear("Name exactly one of --customer-id, --customer, --email, --payment-id.")
    asked = merchant_gateway().post(ERASURES, whom, key)
    if as_json:
        print_json(asked)
    else:
        console.print(f"{asked['id']}  {asked['status']}, due {asked['due_at'][:19]}", soft_wrap=True)


def list_all(
    count: Annotated[int, typer.Option("-n", min=1, max=100, help="how many")] = 20, as_json: Json = False
) -> None:
    """Erasures of all merchants, the newest first; needs ADMIN_API_KEY."""
    found = admin_gateway().get(PROOFS, limit=count)["data"]
    if as_json:
        print_json(found)
        return
    table = Table("erasure", "merchant", "status", "asked", "erased", "report", box=None)
    for one in found:
        times = ((one[name] or "")[:19] for name in ("created_at", "erased_at"))
        verdict = one["report"]["verdict"] if one["report"] else ""
        table.add_row(one["id"], one["merchant_id"], one["status"], *times, verdict)
    print_table(table, "nobody asked to be forgotten")


def report(
    erasure_id: Annotated[str, typer.Argument(help="ers_…")],
    files: Files = None,
    database: Database = None,
    redis: RedisUrls = None,
    as_json: Json = False,
) -> None:
    """Scan everything for what an erased subject was known by, and attach what was found. Exit 1 unless it is clean."""
    gateway = admin_gateway()
    erasure = gateway.get(f"{PROOFS}/{erasure_id}")
    if erasure["sought"] is None:
        raise Unclear("What is to be looked for is forgotten: a scan was clean already, or 30 days are over.")
    sought = sought_of(erasure["sought"], erasure["subjects"])
    findings = _scan(sought, files, database, redis)
    gateway.change("POST", f"{PROOFS}/{erasure_id}/report", findings.report(sought))
    _tell(findings, sought, as_json)


def scan(
    value: Annotated[list[str] | None, typer.Option("--value", help="to look for; repeat it")] = None,
    token: Annotated[list[str] | None, typer.Option("--token", help="sub_…; repeat it")] = None,
    files: Files = None,
    database: Database = None,
    redis: RedisUrls = None,
    as_json: Json = False,
) -> None:
    """Look for values and tokens in every table, Redis and files; attach nothing. Exit 1 when a value is found."""
    sought = sought_of(value or (), token or ())
    if not sought.values and not sought.tokens:
        raise Unclear("Name a --value of at least five characters, or a --token.")
    _tell(_scan(sought, files, database, redis), sought, as_json)


def _scan(
    sought: Sought, files: Sequence[str] | None, database: str | None, redis: Sequence[str] | None
) -> Findings:
    """Whatever was not looked for or not looked through is left out, so that nobody takes the rest for all."""
    from platform_cli.privacy.scan_databases import scan_postgres, scan_redis  # here: each of these takes
    from platform_cli.privacy.scan_files import SERVICES, scan_files  # a second to import

    findings = Findings()
    if not sought.values:
        findings.left_out.append(f"no value of at least {LEAST} characters to look for")
    database_url, redis_servers = _servers(database, redis)
    say("reading every table")
    findings.add(asyncio.run(scan_postgres(database_url, sought)))
    for url, password in redis_servers:
        say("reading Redis")
        findings.add(asyncio.run(scan_redis(url, sought, password)))
    for use, mark in REDIS_USES.items():
        if not any(one.place.startswith(mark) for one in findings.places):
            findings.left_out.append(f"the Redis of {use}: not among those that were read")
    folders = files or ([] if any(_named(database, redis)) else _own_files())  # elsewhere are other files
    if not folders:
        findings.left_out.append("files: none were named")
    for url in folders:
        say(f"reading {url}")
        findings.add(scan_files(url, sought))
    for service in SERVICES if folders else ():
        if service not in findings.logged_by:
            findings.left_out.append(f"the logs of {service}: not among the files that were read")
    if sought.too_short:
        say(f"{sought.too_short} values of fewer than {LEAST} characters were not looked for")
    return findings


def _servers(
    database: str | None, redis: Sequence[str] | None
) -> tuple[str, Sequence[tuple[str, str | None]]]:
    """The database, and each Redis with a password that its URL does not have."""
    database, redis = _named(database, redis)
    if database and redis:
        return database, [(url, None) for url in redis]
    state = State.default()
    if not state.known_ports():
        raise NothingRuns("Nothing runs here: `make up`, or name --database and --redis.")
    own = choose_backends(state, state.known_ports())
    if redis:
        return database or own.admin_url, [(url, None) for url in redis]
    return database or own.admin_url, [(own.redis_url, own.redis_password)]


def _named(database: str | None, redis: Sequence[str] | None) -> tuple[str | None, Sequence[str]]:
    named = database or os.environ.get("SCAN_DATABASE_URL")
    return named, redis or os.environ.get("SCAN_REDIS_URL", "").split()


def _own_files() -> list[str]:
    """What a copy on this machine writes: logs, the channels' journals, exports; and the archive, where it has one."""
    state = State.default()
    folders = [state.logs, state.data / "channels", Path(tempfile.gettempdir()) / "platform-exports"]
    return [*(str(one) for one in folders if one.exists()), *filter(None, [os.environ.get("ARCHIVE_URL")])]


def _tell(findings: Findings, sought: Sought, as_json: bool) -> None:
    if as_json:
        print_json(findings.report(sought))
    else:
        _print(findings, sought)
    raise typer.Exit(0 if findings.verdict == "clean" else REFUSED)


def _print(findings: Findings, sought: Sought) -> None:
    report = findings.report(sought)
    table = Table("place", "read", "values", "tokens", box=None)
    for one in report["places"]:
        if one["values"] or one["tokens"]:
            table.add_row(one["place"], f"{one['read']:,}", f"{one['values']:,}", f"{one['tokens']:,}")
    print_table(table, "found nowhere")
    for what in report["left_out"]:
        console.print(f"left out: {what}", soft_wrap=True)
    read = sum(place.read for place in findings.places)
    console.print(
        f"{findings.verdict}: {sought.count} values sought in {len(findings.places)} places,"
        f" {read:,} rows, entries and files",
        soft_wrap=True,
    )
