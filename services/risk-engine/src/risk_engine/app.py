"""The engine's HTTP application: which routers it serves, and what must be usable before traffic may come."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from platform_kit.app import create_app
from platform_kit.migrations import database_checks
from platform_kit.ops import Check
from platform_kit.outbox import events_router
from risk_engine.api import (
    alert_channels,
    alerts,
    appeals,
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
from risk_engine.operations.deps import Deps, open_deps
from risk_engine.operations.reload_rules import watch_rules
from risk_engine.settings import PACKAGE, SERVICE, Settings
from risk_engine.store import tables


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

    return {**database_checks(deps.engine, PACKAGE, tables.SCHEMA), "rules": rules}


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
            appeals.router,
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
