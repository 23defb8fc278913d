"""Composition root of the data pipeline, and its command line: one image, one command per process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import typer
from fastapi import FastAPI

from data_pipeline.api import breaks, quarantine, reconciliations, reports, status
from data_pipeline.api.answers import CONTRACT
from data_pipeline.api.console.pages import router as console
from data_pipeline.api.console.render import STATIC_FILES
from data_pipeline.operations.consume_streams import consume_streams
from data_pipeline.operations.deps import Deps, open_deps
from data_pipeline.settings import SERVICE, Settings
from data_pipeline.store.tables import SCHEMA
from data_pipeline.worker import celery_app
from platform_kit.app import create_app
from platform_kit.db import ping
from platform_kit.logging import configure_logging
from platform_kit.migrations import is_migrated, upgrade
from platform_kit.ops import Check, OpsServer
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
            reconciliations.router,
            breaks.router,
            status.router,
            quarantine.router,
            console,
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
