"""Composition root of the payment gateway, and its command line: one image, one command per process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import typer
from fastapi import FastAPI

from payment_gateway.api import (
    api_keys,
    audit_log,
    balance,
    customers,
    disputes,
    erasures,
    events,
    idempotency_keys,
    internal,
    ledger,
    merchants,
    overseen_payments,
    overseen_webhooks,
    own_merchant,
    payment_methods,
    payments,
    refunds,
    suspense,
    webhook_deliveries,
    webhook_endpoints,
)
from payment_gateway.api.documented import CONTRACT
from payment_gateway.api.priorities import SHEDDING
from payment_gateway.api.stripe import app as stripe
from payment_gateway.clients.simulators.app import create_simulators
from payment_gateway.operations import rotate_vault_keys as rotate
from payment_gateway.operations.deps import Deps, open_deps
from payment_gateway.operations.replay_routing import Replay, replay_routing
from payment_gateway.operations.vault import open_vault
from payment_gateway.operations.webhook_secrets import rotate_webhook_secrets
from payment_gateway.settings import Settings
from payment_gateway.store.tables import SCHEMA, outbox
from payment_gateway.worker import celery_app
from platform_kit.app import create_app
from platform_kit.db import create_engine, ping
from platform_kit.logging import configure_logging
from platform_kit.migrations import is_migrated, upgrade
from platform_kit.ops import Check, OpsServer
from platform_kit.outbox import Relay
from platform_kit.process import run_until_signalled
from platform_kit.redis import create_redis
from platform_kit.serve import serve
from platform_kit.tasks import run_worker

SERVICE = "payment-gateway"
STREAM = "events:payments"
PACKAGE = "payment_gateway"
VAULT_SCHEMA = "vault"
VAULT_MIGRATIONS = "payment_gateway.store.vault:migrations"
MIGRATION_WAIT_S = 120.0  # the database may still be starting (first install of the chart)

main = typer.Typer(
    help="The payment gateway's processes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its boxes print local variables, secrets among them
)


def create_gateway(settings: Settings) -> FastAPI:
    """The HTTP application."""
    return create_app(
        settings,
        service=SERVICE,
        routers=[
            payments.router,
            refunds.router,
            disputes.router,
            balance.router,
            events.router,
            idempotency_keys.router,
            webhook_endpoints.router,
            webhook_deliveries.router,
            ledger.router,
            merchants.router,
            own_merchant.router,
            api_keys.router,
            audit_log.router,
            suspense.router,
            customers.router,
            payment_methods.router,
            erasures.router,
            erasures.proofs,
            internal.router,
            overseen_payments.router,
            overseen_webhooks.router,
            stripe.router,
        ],
        open_deps=open_deps,
        checks=_checks,
        description="Payments, refunds, ledger and webhooks. Amounts are integers in minor units.",
        contract=CONTRACT,
        shedding=SHEDDING,
        larger_bodies={ledger.TRANSFERS_PATH: ledger.TRANSFERS_MAX_BYTES},
    )


@main.command()
def api() -> None:
    """Serve the HTTP API."""
    settings = Settings.load()
    serve(create_gateway(settings), settings)


@main.command()
def worker() -> None:
    """Run background work: resolving unknown outcomes, webhooks, expiry."""
    settings = Settings.load()
    configure_logging(settings, SERVICE)
    run_worker(celery_app(settings), settings)


@main.command()
def relay() -> None:
    """Number committed events and publish them to the stream."""
    settings = Settings.load()
    configure_logging(settings, SERVICE)
    run_until_signalled(lambda stop: _relay(settings, stop))


@main.command()
def channels() -> None:
    """Serve the simulated card and wallet channels."""
    settings = Settings.load()
    serve(create_simulators(settings), settings)


@main.command()
def migrate() -> None:
    """Bring the schema to this version's revision, as its owner."""
    settings = Settings.load()
    configure_logging(settings, SERVICE)
    url = settings.asyncpg_url(for_migration=True)
    if settings.vault_migration_database_url:  # first: the payments' schema opens the doors of the processes
        vault_url = settings.vault_url(for_migration=True)
        asyncio.run(upgrade(vault_url, VAULT_MIGRATIONS, VAULT_SCHEMA, wait_s=MIGRATION_WAIT_S))
    asyncio.run(upgrade(url, PACKAGE, SCHEMA, wait_s=MIGRATION_WAIT_S))


@main.command()
def rotate_vault_keys() -> None:
    """Bring every card, subject and webhook secret under the newest of VAULT_KEYS; the older keys can go afterwards."""
    settings = Settings.load()
    configure_logging(settings, SERVICE)
    keys, endpoints = asyncio.run(_rotate(settings))
    typer.echo(f"{keys} keys of cards and subjects re-wrapped, {endpoints} webhook endpoints sealed")


async def _rotate(settings: Settings) -> tuple[int, int]:
    engine = create_engine(settings)
    try:
        async with open_vault(settings) as vault:
            return await rotate.rotate_vault_keys(vault), await rotate_webhook_secrets(vault, engine)
    finally:
        await engine.dispose()


@main.command()
def routing_replay() -> None:
    """Recompute every stored routing decision; exit with 1 when one would be made differently now."""
    settings = Settings.load()
    configure_logging(settings, SERVICE)
    found = asyncio.run(_replay(settings))
    for line in found.differences:
        typer.echo(line)
    typer.echo(f"{found.decisions} decisions replayed, {len(found.differences)} differ")
    raise typer.Exit(1 if found.differences else 0)


async def _replay(settings: Settings) -> Replay:
    engine = create_engine(settings, pool_size=1)
    try:
        return await replay_routing(engine)
    finally:
        await engine.dispose()


async def _relay(settings: Settings, stop: asyncio.Event) -> None:
    engine = create_engine(settings, pool_size=2)
    redis = create_redis(settings.streams)
    try:
        async with OpsServer(settings.host, settings.ops_port, checks={"postgres": lambda: ping(engine)}):
            await Relay(engine, outbox, redis, STREAM).run(stop)
    finally:
        await redis.aclose()
        await engine.dispose()


def _checks(deps: Deps) -> Mapping[str, Check]:
    return {
        "postgres": lambda: ping(deps.engine),
        "migrations": lambda: is_migrated(deps.engine, PACKAGE, SCHEMA),
    }


if __name__ == "__main__":
    main()
