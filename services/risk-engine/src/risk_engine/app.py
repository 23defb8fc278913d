"""Composition root: one program, one command per process."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from fastapi import FastAPI, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_kit import migrations
from platform_kit.app import create_app
from platform_kit.db import ping
from platform_kit.http import HttpClient
from platform_kit.logging import configure_logging
from platform_kit.ops import OpsServer
from platform_kit.outbox import Relay, events_router
from platform_kit.process import run_until_signalled
from platform_kit.serve import serve
from platform_kit.streams import StreamConsumer, events_api
from platform_kit.tasks import run_worker
from platform_kit.telemetry import configure_tracing
from risk_engine.api import (
    alert_channels,
    alerts,
    assessments,
    backtests,
    cases,
    deployment,
    drift,
    labels,
    lists,
    proofs,
    reason_codes,
    rule_sets,
    snoozes,
    staff,
    thresholds,
)
from risk_engine.api.answers import CONTRACT
from risk_engine.api.authentication import require_internal
from risk_engine.clients.model import ModelUnavailable
from risk_engine.domain.model_gate import Gate
from risk_engine.domain.retraining import SILENT_DAYS, TooLittle
from risk_engine.operations import gate_model as gates
from risk_engine.operations import retrain_model as retraining
from risk_engine.operations.deps import Deps, open_deps
from risk_engine.operations.follow_payments import follow_payments
from risk_engine.operations.link_payments import follow_links
from risk_engine.operations.rebuild_velocity import follow_outcomes
from risk_engine.operations.record_outcomes import CONSUMER, STREAM
from risk_engine.operations.reload_rules import reload_rules, watch_rules
from risk_engine.settings import Settings
from risk_engine.store import tables
from risk_engine.store.alerts import quarantine
from risk_engine.worker import create_worker

SERVICE = "risk-engine"
PACKAGE = "risk_engine"
EVENTS = "events:risk"
MIGRATION_WAIT_S = 60.0

cli = typer.Typer(
    help="The risk engine, one command per process.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its boxes print local variables, secrets among them
)
Check = Callable[[], Awaitable[Any]]


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[Deps]:
    """The deps of an api process, with the watcher of the live rule set beside them."""
    async with open_deps(settings) as deps:
        watcher = asyncio.create_task(watch_rules(deps, asyncio.Event()), name="rule sets")
        try:
            yield deps
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher


def checks(deps: Deps) -> Mapping[str, Check]:
    """What must be usable before traffic may come. Redis is not among them: without it decisions are degraded."""

    async def rules() -> bool:
        return deps.rules.publication > 0

    return {**_database_checks(deps), "rules": rules}


def _database_checks(deps: Deps) -> Mapping[str, Check]:
    return {
        "postgres": lambda: ping(deps.engine),
        "migrations": lambda: migrations.is_migrated(deps.engine, PACKAGE, tables.SCHEMA),
    }


def build_app(settings: Settings) -> FastAPI:
    """The HTTP application."""
    return create_app(
        settings,
        service=SERVICE,
        routers=[
            assessments.router,
            rule_sets.router,
            rule_sets.checks,
            deployment.router,
            backtests.router,
            thresholds.router,
            alerts.router,
            alert_channels.router,
            drift.router,
            reason_codes.router,
            lists.router,
            staff.router,
            proofs.router,
            cases.router,
            labels.router,
            snoozes.router,
            events_router(_engine_of, tables.outbox, require_internal),
        ],
        open_deps=open_api,
        checks=checks,
        contract=CONTRACT,
        description="Decides about payments before the money moves: velocity, rules and a model.",
    )


async def _engine_of(request: Request) -> AsyncEngine:  # async: FastAPI runs what is not in a thread
    engine: AsyncEngine = request.app.state.deps.engine
    return engine


@cli.command()
def api() -> None:
    """Answer assessments over HTTP."""
    settings = Settings.load()
    serve(build_app(settings), settings)


@cli.command()
def worker() -> None:
    """Run background tasks and their schedule."""
    settings = _begin()
    run_worker(create_worker(settings), settings)


@cli.command()
def relay() -> None:
    """Number committed events and put them on the stream."""

    async def run(deps: Deps, stop: asyncio.Event) -> None:
        await Relay(deps.engine, tables.outbox, deps.redis, EVENTS).run(stop)

    _run_process(run)


@cli.command()
def consumer() -> None:
    """Follow the gateway's events, keep the velocity windows in step, and link related payments."""

    async def run(deps: Deps, stop: asyncio.Event) -> None:
        token = deps.settings.internal_token.get_secret_value()
        async with HttpClient("gateway", deps.settings.gateway_url, timeout_s=10, retries=2) as gateway:
            follower = StreamConsumer(
                deps.engine,
                deps.redis,
                STREAM,
                CONSUMER,
                tables.consumer_cursor,
                follow_payments,
                events_api(gateway, token),
                quarantine=quarantine,
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(follower.run(stop))
                tasks.create_task(follow_outcomes(deps, stop))
                tasks.create_task(follow_links(deps, stop))

    _run_process(run)


@cli.command()
def gate_model(
    model_file: Annotated[
        Path, typer.Argument(help="model.txt or .onnx with its .json", exists=True, dir_okay=False)
    ],
) -> None:
    """Hold a new model against the one that scores now, on labelled decisions. Exit 1 when it may not follow it."""

    async def judge() -> Gate:
        async with open_deps(_begin()) as deps:
            await reload_rules(deps)
            return await gates.gate_model(deps, model_file)

    try:
        gate = asyncio.run(judge())
    except ModelUnavailable as error:
        typer.echo(f"not judged: {error}", err=True)
        raise typer.Exit(2) from error
    _tell(gate)


def _tell(gate: Gate) -> NoReturn:
    typer.echo(json.dumps({"labelled": gate.labelled, "frauds": gate.frauds, **gate.figures}))
    for why in gate.refused:
        typer.echo(f"refused: {why}", err=True)
    raise typer.Exit(0 if gate.passes else 1)


@cli.command()
def retrain(
    out: Annotated[Path, typer.Option(help="directory for model, metadata, card and the gate's answer")],
    days: Annotated[int, typer.Option(help="how far to look back", min=1)] = retraining.DAYS,
    silent_days: Annotated[
        int, typer.Option(help="a payment of which nobody complained for so long is legitimate", min=1)
    ] = SILENT_DAYS,
) -> None:
    """Train a candidate on stored decisions and their labels and hold it against the model that scores now. Nothing is
    deployed. Exit 1 when it may not follow that one, 2 when there is too little to learn from."""

    async def train() -> retraining.Candidate:
        async with open_deps(_begin()) as deps:
            await reload_rules(deps)
            return await retraining.retrain_model(deps, out, days=days, silent_days=silent_days)

    try:
        candidate = asyncio.run(train())
    except (TooLittle, ModelUnavailable) as error:
        typer.echo(f"not trained: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(json.dumps({"model": candidate.hash, "out": str(out)}))
    _tell(candidate.gate)


@cli.command()
def migrate() -> None:
    """Bring the schema to this code's revision."""
    settings = _begin()
    url = settings.asyncpg_url(for_migration=True)
    asyncio.run(migrations.upgrade(url, PACKAGE, tables.SCHEMA, wait_s=MIGRATION_WAIT_S))


def _begin() -> Settings:
    settings = Settings.load()
    configure_logging(settings, SERVICE)
    configure_tracing(settings, SERVICE)
    return settings


def _run_process(run: Callable[[Deps, asyncio.Event], Awaitable[None]]) -> None:
    settings = _begin()

    async def main(stop: asyncio.Event) -> None:
        async with (
            open_deps(settings) as deps,
            OpsServer(settings.host, settings.ops_port, checks=_database_checks(deps)),
        ):
            await run(deps, stop)

    run_until_signalled(main)


def main() -> None:
    """Entry point of the `risk-engine` script."""
    cli()
