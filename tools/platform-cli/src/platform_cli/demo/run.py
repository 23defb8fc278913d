"""`platform demo`: a copy of the platform of its own, a day of orders, the proof, and nothing left behind."""

import asyncio
import os
import shutil
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from platform_cli.audit.compare import Finding, audit
from platform_cli.audit.shop import NoAnswer, Shop
from platform_cli.audit.witnesses import Endpoints, NotInWarehouse, Witnesses
from platform_cli.demo.drive import Journey, drive
from platform_cli.demo.orders import Order, read_orders
from platform_cli.demo.report import Timing, missing, render
from platform_cli.demo.settle import agree_terms, close_settlements, settled
from platform_cli.stack.bring_up import Running, bring_up
from platform_cli.stack.operator import DEMO_OPERATOR
from platform_cli.stack.own_copy import leave_in_order_on_sigterm, own_copy
from platform_cli.stack.state import State, clone

PREFIX = "platform-demo-"


def run_demo(console: Console, orders_file: Path | None, *, keep: bool) -> int:
    """Exit status 0 only when every witness agrees."""
    started = time.monotonic()
    orders = read_orders(orders_file or clone() / "examples" / "orders.csv")
    leave_in_order_on_sigterm()
    with own_copy(PREFIX, keep=keep) as state:
        try:
            findings = asyncio.run(
                _demonstrate(console, state, orders, started, is_whole_day=orders_file is None)
            )
        except (RuntimeError, NoAnswer, NotInWarehouse, aiohttp.ClientError, ExceptionGroup) as error:
            console.print("[bold red]The demonstration failed.[/bold red]")
            console.print(str(error), markup=False, highlight=False, soft_wrap=True)
            _keep_logs(console, state)
            return 1
        if findings:
            _keep_logs(console, state)
    return 1 if findings else 0


def _keep_logs(console: Console, state: State) -> None:
    if state.logs.exists():
        kept = Path(tempfile.mkdtemp(prefix="platform-demo.logs-"))
        shutil.copytree(state.logs, kept, dirs_exist_ok=True)
        console.print(f"The logs of all processes are in {kept}")


async def _demonstrate(
    console: Console, state: State, orders: list[Order], started: float, *, is_whole_day: bool
) -> list[Finding]:
    first_day = datetime.now(UTC).date()
    with console.status("starting Postgres, Redis and the platform") as status:
        copy = await bring_up(state, status.update, environ={})
    up_s = time.monotonic() - started
    console.print(
        f"The platform runs: {copy.gateway_url}, console {copy.surroundings.url('pipeline')}/console "
        f"(log in as {DEMO_OPERATOR}, password {copy.state.secret('console_password')})"
    )
    endpoints = _endpoints(copy)
    await agree_terms(endpoints, copy.merchant.id)
    async with Shop(copy.gateway_url, copy.merchant.api_key) as shop, Witnesses(endpoints) as witnesses:
        drive_started = time.monotonic()
        journeys, first_captured = await _drive(console, shop, orders)
        driven_s = time.monotonic() - drive_started
        with console.status("waiting for the warehouse, reconciling, verifying the ledger"):
            evidence = await witnesses.give_evidence(shop, _days(first_day))
            ledger = await witnesses.ledger()
            closed = await close_settlements(endpoints)
    findings = audit(journeys, evidence) + (missing(journeys) if is_whole_day else [])
    if not ledger["balanced"]:
        findings.append(Finding("wrong", f"ledger: {ledger['differences']}"))
    timing = Timing(up_s, first_captured - started, driven_s, time.monotonic() - started)
    console.print(render(journeys, evidence, ledger, findings, timing), highlight=False)
    console.print(settled(closed), highlight=False)
    return findings


async def _drive(console: Console, shop: Shop, orders: list[Order]) -> tuple[list[Journey], float]:
    """Journeys, and when the first payment was captured (monotonic seconds)."""
    first_captured: list[float] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("orders", total=len(orders))

        def on_done(journey: Journey) -> None:
            if journey.status == "captured" and not first_captured:
                first_captured.append(time.monotonic())
            progress.advance(task)

        journeys = await drive(shop, orders, f"demo-{os.getpid()}", on_done)
    return journeys, first_captured[0] if first_captured else float("nan")


def _endpoints(copy: Running) -> Endpoints:
    url = copy.surroundings.url
    return Endpoints(
        gateway_url=url("gateway"),
        pipeline_url=url("pipeline"),
        channels_url=url("channels"),
        internal_token=copy.state.secret("internal_token"),
        admin_api_key=copy.state.secret("admin_api_key"),
    )


def _days(first: date) -> list[date]:
    """The UTC days that the run touched: two when it went over midnight."""
    last = datetime.now(UTC).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
