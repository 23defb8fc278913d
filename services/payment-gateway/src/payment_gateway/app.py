"""The gateway's HTTP application: which routers it serves, and what must be usable before traffic may come."""

from __future__ import annotations

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
from payment_gateway.operations.deps import open_deps
from payment_gateway.settings import PACKAGE, SERVICE, Settings
from payment_gateway.store.tables import SCHEMA
from platform_kit.app import create_app
from platform_kit.migrations import database_checks


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
        checks=lambda deps: database_checks(deps.engine, PACKAGE, SCHEMA),
        description="Payments, refunds, ledger and webhooks. Amounts are integers in minor units.",
        contract=CONTRACT,
        shedding=SHEDDING,
        larger_bodies={ledger.TRANSFERS_PATH: ledger.TRANSFERS_MAX_BYTES},
    )
