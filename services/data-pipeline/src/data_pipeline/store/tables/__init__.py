"""The schema `pipeline`: bronze (events as received), facts, roll-ups, reconciliation, quarantine, operators."""

from data_pipeline.store.tables.archive import archive_cursor, archive_file
from data_pipeline.store.tables.balances import rollup_account
from data_pipeline.store.tables.events import (
    cursor,
    event_count,
    job_run,
    quarantine,
    stored_event,
    stream_head,
)
from data_pipeline.store.tables.exports import export
from data_pipeline.store.tables.facts import (
    fact_assessment,
    fact_case,
    fact_dispute,
    fact_payment,
    fact_payout,
    fact_refund,
    fact_reserve,
    fact_transfer,
    fact_webhook_attempt,
    merchant_version,
)
from data_pipeline.store.tables.invariants import invariant_check
from data_pipeline.store.tables.operators import operator, operator_login, operator_session
from data_pipeline.store.tables.reconciliation import (
    bank_statement,
    break_act,
    channel_payout,
    reconciliation_break,
    reconciliation_run,
    settlement_file,
)
from data_pipeline.store.tables.replay import replay_file, replay_run
from data_pipeline.store.tables.report_hours import fact_hour, report_hour
from data_pipeline.store.tables.rollups import rollup, rollup_correction, rollup_latency
from data_pipeline.store.tables.schema import SCHEMA, metadata
from data_pipeline.store.tables.settlements import (
    left_out_movement,
    settlement_batch,
    settlement_line,
    settlement_walk,
)
from data_pipeline.store.tables.snapshot import dirty_partition, quality_check
from data_pipeline.store.tables.versions import service_version

__all__ = [
    "SCHEMA",
    "archive_cursor",
    "archive_file",
    "bank_statement",
    "break_act",
    "channel_payout",
    "cursor",
    "dirty_partition",
    "event_count",
    "export",
    "fact_assessment",
    "fact_case",
    "fact_dispute",
    "fact_hour",
    "fact_payment",
    "fact_payout",
    "fact_refund",
    "fact_reserve",
    "fact_transfer",
    "fact_webhook_attempt",
    "invariant_check",
    "job_run",
    "left_out_movement",
    "merchant_version",
    "metadata",
    "operator",
    "operator_login",
    "operator_session",
    "quality_check",
    "quarantine",
    "reconciliation_break",
    "reconciliation_run",
    "replay_file",
    "replay_run",
    "report_hour",
    "rollup",
    "rollup_account",
    "rollup_correction",
    "rollup_latency",
    "service_version",
    "settlement_batch",
    "settlement_file",
    "settlement_line",
    "settlement_walk",
    "stored_event",
    "stream_head",
]
