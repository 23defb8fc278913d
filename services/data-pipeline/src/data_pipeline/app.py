"""The pipeline's HTTP application: which routers it serves, and what must be usable before traffic may come."""

from __future__ import annotations

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
from data_pipeline.operations.deps import open_deps
from data_pipeline.settings import PACKAGE, SERVICE, Settings
from data_pipeline.store.tables import SCHEMA
from platform_kit.app import create_app
from platform_kit.migrations import database_checks


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
        checks=lambda deps: database_checks(deps.engine, PACKAGE, SCHEMA),
        contract=CONTRACT,
        description="Reports, reconciliation and the operator console. Amounts are integers in minor units.",
    )
    app.mount("/console/static", STATIC_FILES, name="static")
    return app
