"""The engine's command line: one image, one command per process. Each imports what it runs and nothing else, since a
process starts whenever a pod does; what trains a model alone costs three seconds and 100 MB."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from platform_kit.logging import configure_logging
from risk_engine.domain.retraining import DAYS, SILENT_DAYS, TooLittle
from risk_engine.settings import PACKAGE, SERVICE, Settings

if TYPE_CHECKING:
    from risk_engine.domain.model_gate import Gate
    from risk_engine.operations.deps import Deps
    from risk_engine.operations.retrain_model import Candidate

EVENTS = "events:risk"
MIGRATION_WAIT_S = 60.0  # the database may still be starting (first install of the chart)

main = typer.Typer(
    help="The risk engine's processes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its boxes print local variables, secrets among them
)


@main.command()
def api() -> None:
    """Answer assessments over HTTP."""
    from platform_kit.serve import serve
    from risk_engine.app import build_app

    settings = Settings.load()
    serve(build_app(settings), settings)


@main.command()
def worker() -> None:
    """Run background tasks and their schedule."""
    from platform_kit.tasks import run_worker
    from risk_engine.worker import create_worker

    settings = _begin()
    run_worker(create_worker(settings), settings)


@main.command()
def relay() -> None:
    """Number committed events and put them on the stream."""
    from platform_kit.relay import Relay
    from risk_engine.store import tables

    async def run(deps: Deps, stop: asyncio.Event) -> None:
        await Relay(deps.engine, tables.outbox, deps.redis, EVENTS).run(stop)

    _run_process(run)


@main.command()
def consumer() -> None:
    """Follow the gateway's events, keep the velocity windows in step, and link related payments."""
    from platform_kit.http import HttpClient
    from platform_kit.streams import StreamConsumer, events_api
    from risk_engine.operations.follow_payments import follow_payments
    from risk_engine.operations.link_payments import follow_links
    from risk_engine.operations.rebuild_velocity import follow_outcomes
    from risk_engine.operations.record_outcomes import CONSUMER, STREAM
    from risk_engine.store import tables
    from risk_engine.store.alerts import quarantine

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


@main.command()
def gate_model(
    model_file: Annotated[
        Path, typer.Argument(help="model.txt or .onnx with its .json", exists=True, dir_okay=False)
    ],
) -> None:
    """Hold a new model against the one that scores now, on labelled decisions. Exit 1 when it may not follow it."""
    from risk_engine.clients.model import ModelUnavailable
    from risk_engine.operations import gate_model as gates
    from risk_engine.operations.deps import open_deps
    from risk_engine.operations.reload_rules import reload_rules

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


@main.command()
def retrain(
    out: Annotated[Path, typer.Option(help="directory for model, metadata, card and the gate's answer")],
    days: Annotated[int, typer.Option(help="how far to look back", min=1)] = DAYS,
    silent_days: Annotated[
        int, typer.Option(help="a payment of which nobody complained for so long is legitimate", min=1)
    ] = SILENT_DAYS,
) -> None:
    """Train a candidate on stored decisions and their labels and hold it against the model that scores now. Nothing is
    deployed. Exit 1 when it may not follow that one, 2 when there is too little to learn from."""
    from risk_engine.clients.model import ModelUnavailable
    from risk_engine.operations.deps import open_deps
    from risk_engine.operations.reload_rules import reload_rules
    from risk_engine.operations.retrain_model import retrain_model

    async def train() -> Candidate:
        async with open_deps(_begin()) as deps:
            await reload_rules(deps)
            return await retrain_model(deps, out, days=days, silent_days=silent_days)

    try:
        candidate = asyncio.run(train())
    except (TooLittle, ModelUnavailable) as error:
        typer.echo(f"not trained: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(json.dumps({"model": candidate.hash, "out": str(out)}))
    _tell(candidate.gate)


@main.command()
def migrate() -> None:
    """Bring the schema to this code's revision."""
    from platform_kit import migrations
    from risk_engine.store import tables

    settings = _begin()
    url = settings.asyncpg_url(for_migration=True)
    asyncio.run(migrations.upgrade(url, PACKAGE, tables.SCHEMA, wait_s=MIGRATION_WAIT_S))


def _begin() -> Settings:
    from platform_kit.telemetry import configure_tracing

    settings = Settings.load()
    configure_logging(settings, SERVICE)
    configure_tracing(settings, SERVICE)
    return settings


def _run_process(run: Callable[[Deps, asyncio.Event], Awaitable[None]]) -> None:
    from platform_kit.migrations import database_checks
    from platform_kit.ops import OpsServer
    from platform_kit.process import run_until_signalled
    from risk_engine.operations.deps import open_deps
    from risk_engine.store import tables

    settings = _begin()

    async def main(stop: asyncio.Event) -> None:
        async with (
            open_deps(settings) as deps,
            OpsServer(
                settings.host, settings.ops_port, checks=database_checks(deps.engine, PACKAGE, tables.SCHEMA)
            ),
        ):
            await run(deps, stop)

    run_until_signalled(main)


if __name__ == "__main__":
    main()
