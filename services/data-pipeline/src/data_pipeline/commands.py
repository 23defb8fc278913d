"""The pipeline's command line: one image, one command per process. Each imports what it runs and nothing else, since a
process starts whenever a pod does."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from threading import Timer
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_pipeline.domain.operators import Role
from data_pipeline.settings import PACKAGE, SERVICE, Settings
from platform_kit.logging import configure_logging

if TYPE_CHECKING:
    from data_pipeline.operations.deps import Deps

MIGRATION_WAIT_S = 120.0  # the database may still be starting (first install of the chart)
REPORTS_PREPARED_AFTER_S = 5.0  # what answers at once comes first
CONSUMER_POOL = 6  # two leases, two transactions, the watch, one to spare

main = typer.Typer(
    help="The data pipeline's processes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its boxes print local variables, secrets among them
)


@main.command()
def api() -> None:
    """Serve reports and the console."""
    from data_pipeline.app import create_pipeline
    from platform_kit.serve import serve

    settings = Settings.load()
    if settings.engine == "postgres":
        timer = Timer(REPORTS_PREPARED_AFTER_S, _prepare_reports)
        timer.daemon = True  # whoever stops the process does not wait for it
        timer.start()
    serve(create_pipeline(settings), settings)


@main.command()
def worker() -> None:
    """Run the schedules: reconciliation, freshness, quarantine age."""
    from data_pipeline.worker import celery_app
    from platform_kit.tasks import run_worker

    settings = _begin()
    run_worker(celery_app(settings), settings)


@main.command()
def consumer() -> None:
    """Ingest both event streams."""
    from platform_kit.process import run_until_signalled

    settings = _begin()
    run_until_signalled(lambda stop: _consume(settings, stop))


@main.command()
def migrate() -> None:
    """Bring the schema to this version's revision, as its owner."""
    from data_pipeline.store.tables import SCHEMA
    from platform_kit.migrations import upgrade

    settings = _begin()
    url = settings.asyncpg_url(for_migration=True)
    asyncio.run(upgrade(url, PACKAGE, SCHEMA, wait_s=MIGRATION_WAIT_S))


operators = typer.Typer(help="People who may use the console.", no_args_is_help=True)
main.add_typer(operators, name="operator")


@operators.command("add")
def add(name: str, role: Annotated[Role, typer.Option()], keep: bool = False) -> None:
    """Add an operator. The password is asked for; without a terminal it is the first line of standard input.

    With --keep, one of this name stays as it is.
    """
    from data_pipeline.operations.manage_operators import NameTaken, add_operator

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
    from data_pipeline.operations.manage_operators import change_operator

    _operate(
        lambda deps: change_operator(
            deps, name, role=role, password=_password() if password else None, is_disabled=disable
        )
    )


@operators.command("list")
def show() -> None:
    """Names, roles, last log-ins."""
    from data_pipeline.operations.manage_operators import list_operators

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
    from data_pipeline.operations.deps import open_deps
    from platform_kit.problems import Problem

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


def _prepare_reports() -> None:
    from data_pipeline.operations.add_up_hours import prepare_statements

    prepare_statements()


async def _consume(settings: Settings, stop: asyncio.Event) -> None:
    from data_pipeline.operations.consume_streams import consume_streams
    from data_pipeline.operations.deps import open_deps
    from data_pipeline.store.tables import SCHEMA
    from platform_kit.migrations import database_checks
    from platform_kit.ops import OpsServer
    from platform_kit.redis import create_redis

    redis = create_redis(settings.streams)
    pooled = settings.model_copy(update={"database_pool_size": CONSUMER_POOL})
    try:
        async with (
            open_deps(pooled) as deps,
            OpsServer(settings.host, settings.ops_port, checks=database_checks(deps.engine, PACKAGE, SCHEMA)),
        ):
            await consume_streams(deps, redis, stop)
    finally:
        await redis.aclose()


def _begin() -> Settings:
    settings = Settings.load()
    configure_logging(settings, SERVICE)
    return settings


if __name__ == "__main__":
    main()
