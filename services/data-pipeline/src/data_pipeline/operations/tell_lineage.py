"""Tell what a run of a job read and wrote: its start, and how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from data_pipeline.clients.lineage_events import NAMESPACE, Dataset, lineage_to
from data_pipeline.domain.lineage import STORES, Job
from data_pipeline.operations.deps import Deps
from data_pipeline.store.tables import SCHEMA, metadata


@asynccontextmanager
async def lineage_of(deps: Deps, job: Job) -> AsyncIterator[None]:
    """Inside is one run of the job; what it raises is told by its type and goes on."""
    lineage = lineage_to(deps.settings.lineage_url)
    run_id, inputs, outputs = lineage.new_run(), _datasets(deps, job.inputs), _datasets(deps, job.outputs)
    await lineage.tell("START", run_id, job, deps.clock.now(), inputs, outputs)
    try:
        yield
    except BaseException as fault:
        # The type alone: a message of the database may hold a row's values.
        await lineage.tell("FAIL", run_id, job, deps.clock.now(), inputs, outputs, type(fault).__name__)
        raise
    await lineage.tell("COMPLETE", run_id, job, deps.clock.now(), inputs, outputs)


def _datasets(deps: Deps, names: Iterable[str]) -> list[Dataset]:
    return [_store(deps, name) if name in STORES else _table(deps, name) for name in names]


def _table(deps: Deps, name: str) -> Dataset:
    """As OpenLineage names Postgres: `postgres://host:port`, then database, schema and table."""
    at = deps.settings.asyncpg_url()
    columns = {
        column.name: str(column.type).partition(" ")[0]
        for column in metadata.tables[f"{SCHEMA}.{name}"].columns
    }
    namespace = f"postgres://{at.host or 'localhost'}:{at.port or 5432}"
    return Dataset(namespace, f"{at.database}.{SCHEMA}.{name}", columns)


def _store(deps: Deps, name: str) -> Dataset:
    settings = deps.settings
    urls = {
        "archive": settings.archive_url,
        "snapshot": settings.facts_url,
        "exports": settings.exports_url,
        "gateway": settings.gateway_url,
        "risk-engine": settings.risk_url,
        "channels": settings.channels_url,
    }
    at = urlsplit(urls[name])
    if not at.scheme:
        return Dataset(NAMESPACE, name, {})
    # Host and port only: an address may carry a password.
    host = f"{at.hostname or ''}{f':{at.port}' if at.port else ''}"
    return Dataset(f"{at.scheme}://{host}" if host else at.scheme, at.path or name, {})
