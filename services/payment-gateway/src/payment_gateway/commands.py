"""The gateway's command line: one image, one command per process. Each imports what it runs and nothing else, since a
process starts whenever a pod does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer

from payment_gateway.settings import PACKAGE, SERVICE, Settings
from platform_kit.logging import configure_logging

if TYPE_CHECKING:
    from payment_gateway.operations.replay_routing import Replay

STREAM = "events:payments"
VAULT_SCHEMA = "vault"
VAULT_MIGRATIONS = "payment_gateway.store.vault:migrations"
MIGRATION_WAIT_S = 120.0  # the database may still be starting (first install of the chart)

main = typer.Typer(
    help="The payment gateway's processes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its boxes print local variables, secrets among them
)


@main.command()
def api() -> None:
    """Serve the HTTP API."""
    from payment_gateway.app import create_gateway
    from platform_kit.serve import serve

    settings = Settings.load()
    serve(create_gateway(settings), settings)


@main.command()
def worker() -> None:
    """Run background work: resolving unknown outcomes, webhooks, expiry."""
    from payment_gateway.worker import celery_app
    from platform_kit.tasks import run_worker

    settings = _begin()
    run_worker(celery_app(settings), settings)


@main.command()
def relay() -> None:
    """Number committed events and publish them to the stream."""
    from platform_kit.process import run_until_signalled

    settings = _begin()
    run_until_signalled(lambda stop: _relay(settings, stop))


@main.command()
def channels() -> None:
    """Serve the simulated card and wallet channels."""
    from payment_gateway.clients.simulators.app import create_simulators
    from platform_kit.serve import serve

    settings = Settings.load()
    serve(create_simulators(settings), settings)


@main.command()
def migrate() -> None:
    """Bring the schema to this version's revision, as its owner."""
    from payment_gateway.store.tables import SCHEMA
    from platform_kit.migrations import upgrade

    settings = _begin()
    url = settings.asyncpg_url(for_migration=True)
    if settings.vault_migration_database_url:  # first: the payments' schema opens the doors of the processes
        vault_url = settings.vault_url(for_migration=True)
        asyncio.run(upgrade(vault_url, VAULT_MIGRATIONS, VAULT_SCHEMA, wait_s=MIGRATION_WAIT_S))
    asyncio.run(upgrade(url, PACKAGE, SCHEMA, wait_s=MIGRATION_WAIT_S))


@main.command("rotate-vault-keys")
def rotate() -> None:
    """Bring every card, subject and webhook secret under the newest of VAULT_KEYS; the older keys can go afterwards."""
    settings = _begin()
    keys, endpoints = asyncio.run(_rotate(settings))
    typer.echo(f"{keys} keys of cards and subjects re-wrapped, {endpoints} webhook endpoints sealed")


async def _rotate(settings: Settings) -> tuple[int, int]:
    from payment_gateway.operations.rotate_vault_keys import rotate_vault_keys
    from payment_gateway.operations.vault import open_vault
    from payment_gateway.operations.webhook_secrets import rotate_webhook_secrets
    from platform_kit.db import create_engine

    engine = create_engine(settings)
    try:
        async with open_vault(settings) as vault:
            return await rotate_vault_keys(vault), await rotate_webhook_secrets(vault, engine)
    finally:
        await engine.dispose()


@main.command()
def routing_replay() -> None:
    """Recompute every stored routing decision; exit with 1 when one would be made differently now."""
    settings = _begin()
    found = asyncio.run(_replay(settings))
    for line in found.differences:
        typer.echo(line)
    typer.echo(f"{found.decisions} decisions replayed, {len(found.differences)} differ")
    raise typer.Exit(1 if found.differences else 0)


async def _replay(settings: Settings) -> Replay:
    from payment_gateway.operations.replay_routing import replay_routing
    from platform_kit.db import create_engine

    engine = create_engine(settings, pool_size=1)
    try:
        return await replay_routing(engine)
    finally:
        await engine.dispose()


async def _relay(settings: Settings, stop: asyncio.Event) -> None:
    from payment_gateway.store.tables import outbox
    from platform_kit.db import create_engine, ping
    from platform_kit.ops import OpsServer
    from platform_kit.redis import create_redis
    from platform_kit.relay import Relay

    engine = create_engine(settings, pool_size=2)
    redis = create_redis(settings.streams)
    try:
        async with OpsServer(settings.host, settings.ops_port, checks={"postgres": lambda: ping(engine)}):
            await Relay(engine, outbox, redis, STREAM).run(stop)
    finally:
        await redis.aclose()
        await engine.dispose()


def _begin() -> Settings:
    settings = Settings.load()
    configure_logging(settings, SERVICE)
    return settings


if __name__ == "__main__":
    main()
