"""The kit's tables in this schema: idempotency keys, the outbox, the runs of scheduled jobs."""

from __future__ import annotations

from sqlalchemy import Index

from payment_gateway.store.tables.schema import metadata
from platform_kit.idempotency import idempotency_table
from platform_kit.outbox import outbox_tables
from platform_kit.tasks import job_run_table

idempotency_key = idempotency_table(metadata)
outbox = outbox_tables(metadata)
# A merchant's page of events.
Index("event_by_merchant_idx", outbox.event.c.merchant_id, outbox.event.c.position)
# The story of one object.
Index(
    "event_by_aggregate_idx",
    outbox.event.c.merchant_id,
    outbox.event.c.aggregate_id,
    outbox.event.c.position,
)
job_run = job_run_table(metadata)
