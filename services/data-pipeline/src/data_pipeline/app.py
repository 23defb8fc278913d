"""Composition root of the data pipeline, and its command line: one image, one command per process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any

import typer
from fastapi import FastAPI

from data_pipeline.api import (
    archive,
    breaks,
    exports,
    invariants,
    payouts,
    quality,
    quarantine,
    reconciliations,
    replays,
    reports,
    settlements,
    status,
)
from data_pipeline.api.answers import CONTRACT
from data_pipeline.api.console import (
    ledger,
    merchants,
    risk_alerts,
    risk_decisions,
    risk_lists,
    risk_queue,
    risk_rules,
    system,
    webhooks,
)
from data_pipeline.api.console import settlements as settlement_pages
from data_pipeline.api.console.archive import router as archive_page
from data_pipeline.api.console.breaks import router as break_pages
from data_pipeline.api.console.exports import router as export_pages
from data_pipeline.api.console.log_in import router as log_in
from data_pipeline.api.console.pages import router as console
from data_pipeline.api.console.payment import router as payment
from data_pipeline.api.console.payments import router as payments
from data_pipeline.api.console.quality import router as quality_page
from data_pipeline.api.console.quarantine import router as quarantine_pages
from data_pipeline.api.console.reconciliation import router as reconciliation_pages
from data_pipeline.api.console.render import STATIC_FILES
from data_pipeline.api.console.reports import router as report_pages
from data_pipeline.api.console.search import router as search
from data_pipeline.domain.operators import Role
from data_pipeline.operations.consume_streams import consume_streams
from data_pipeline.operations.deps import Deps, open_deps
from data_pipeline.operations.manage_operators import NameTaken, add_operator, change_operator, list_operators
from data_pipeline.settings import SERVICE, Settings
from data_pipeline.store.tables import SCHEMA
from data_pipeline.worker import celery_app
from platform_kit.app import create_app
from platform_kit.db import ping
from platform_kit.logging import configure_logging
from platform_kit.migrations import is_migrated, upgrade
from platform_kit.ops import Check, OpsServer
from platform_kit.problems import Problem
from platform_kit.process import run_until_signalled
from platform_kit.redis import create_redis
from platform_kit.serve import serve
from platform_kit.tasks import run_worker

PACKAGE = "data_pipeline"
MIGRATION_WAIT_S = 120.0  # the database may still be starting (first install of the chart)
CONSUMER_POOL = 6  # two leases, two transactions, the watch, one to spare

main = typer.Typer(
    help="The data pipeline's processes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its boxes print local variables, secrets among them
)


def create_pipeline(settings: Settings) -> FastAPI:
    """Reports and console."""
    app = create_app(
        settings,
        service=SERVICE,
        routers=[
            reports.router,
            exports.router,
            reconciliations.router,
            breaks.router,
            payouts.router,
            status.router,
            quarantine.router,
            invariants.router,
            quality.router,
            archive.router,
            replays.router,
            settlements.router,
            log_in,
            payments,
            payment,
            console,
            search,
            ledger.router,
            merchants.router,
            reconciliation_pages,
            break_pages,
            quarantine_pages,
            report_pages,
            export_pages,
            archive_page,
            quality_page,
            risk_queue.router,
            risk_decisions.router,
            risk_rules.router,
            risk_lists.router,
            risk_alerts.router,
            settlement_pages.router,
            webhooks.router,
            system.router,
        ],
        open_deps=open_deps,
        checks=_checks,
        contract=CONTRACT,
        description="Reports, reconciliation and the operator console. Amounts are integers in minor units.",
    )
    app.mount("/console/static", STATIC_FILES, name="static")
    return app


@main.command()
def api() -> None:
    """Serve reports and the console."""
    settings = Settings.load()
    serve(create_pipeline(settings), settings)


@main.command()
def worker() -> None:
    """Run the schedules: reconciliation, freshness, quarantine age."""
    settings = Settings.load()
    configure_logging(settings, SERVICE)
    run_worker(celery_app(settings), settings)


@main.command()
def consumer() -> None:
    """Ingest both event streams."""
    settings = Settings.load()
    configure_logging(settings, SERVICE)
    run_until_signalled(lambda stop: _consume(settings, stop))


@main.command()
def migrate() -> None:
    """Bring the schema to this version's revision, as its owner."""
    settings = Settings.load()
    configure_logging(settings, SERVICE)
    url = settings.asyncpg_url(for_migration=True)
    asyncio.run(upgrade(url, PACKAGE, SCHEMA, wait_s=MIGRATION_WAIT_S))


operators = typer.Typer(help="People who may use the console.", no_args_is_help=True)
main.add_typer(operators, name="operator")


@operators.command("add")
def add(name: str, role: Annotated[Role, typer.Option()], keep: bool = False) -> None:
    """Add an operator. The password is asked for; without a terminal it is the first line of standard input.

    With --keep, one of this name stays as it is.
    """

    async def run(deps: Deps) -> None:
        password = _password()
        try:
            await add_operator(deps, name, role, password)
        except NameTaken:
            if not keep:
                raise

    _operate(run)


@operators.command("change")
def change(
    name: str,
    role: Annotated[Role | None, typer.Option()] = None,
    password: Annotated[bool, typer.Option("--password", help="ask for a new one")] = False,
    disable: bool = False,
) -> None:
    """Change role or password, or let nobody in by this name any more; every session of it ends."""
    _operate(
        lambda deps: change_operator(
            deps, name, role=role, password=_password() if password else None, is_disabled=disable
        )
    )


@operators.command("list")
def show() -> None:
    """Names, roles, last log-ins."""

    async def run(deps: Deps) -> None:
        for row in await list_operators(deps):
            state = "disabled" if row["disabled_at"] else "active"
            seen = f"{row['logged_in_at']:%Y-%m-%d %H:%M}" if row["logged_in_at"] else "never"
            typer.echo(f"{row['name']:<40} {row['role']:<9} {state:<9} last log-in {seen}")

    _operate(run)


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")


def _operate(act: Callable[[Deps], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with open_deps(Settings.load()) as deps:
            await act(deps)

    try:
        asyncio.run(run())
    except Problem as problem:
        typer.echo(
            f"{problem.title}: {problem.detail}" if problem.detail != problem.title else problem.title,
            err=True,
        )
        raise typer.Exit(1) from None


async def _consume(settings: Settings, stop: asyncio.Event) -> None:
    redis = create_redis(settings.streams)
    pooled = settings.model_copy(update={"database_pool_size": CONSUMER_POOL})
    try:
        async with (
            open_deps(pooled) as deps,
            OpsServer(settings.host, settings.ops_port, checks=_checks(deps)),
        ):
            await consume_streams(deps, redis, stop)
    finally:
        await redis.aclose()


def _checks(deps: Deps) -> Mapping[str, Check]:
    return {
        "postgres": lambda: ping(deps.engine),
        "migrations": lambda: is_migrated(deps.engine, PACKAGE, SCHEMA),
    }


if __name__ == "__main__":
    main()
