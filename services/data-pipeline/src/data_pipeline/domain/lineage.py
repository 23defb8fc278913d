"""Which job makes what out of what. Data: OpenLineage events and docs/data-lineage.md are written from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Job:
    """A job by the name under which it is known outside; inputs and outputs are tables of the schema, or stores."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


STORES: Final[Mapping[str, str]] = {
    "gateway": "events, ledger totals and corrections of the payment gateway, over HTTP",
    "risk-engine": "assessments, over HTTP and its stream",
    "channels": "settlement files of the channels, and the bank's statements",
    "archive": "events as Parquet (ARCHIVE_URL)",
    "snapshot": "facts as Parquet (SNAPSHOT_URL)",
    "exports": "files that somebody asked for (EXPORTS_URL)",
}
_FACTS: Final = ("fact_payment", "fact_refund", "fact_transfer", "fact_assessment")
_BESIDE: Final = ("merchant_version", "fact_webhook_attempt", "fact_case")
_GOLD: Final = ("rollup", "rollup_latency", "rollup_account", "rollup_correction")

INGEST: Final = Job(
    "ingest_events", ("gateway", "risk-engine"), ("stored_event", "quarantine", *_FACTS, *_BESIDE, *_GOLD)
)
ARCHIVE: Final = Job("archive_events", ("stored_event",), ("archive",))
REPLAY: Final = Job("replay_archive", ("archive", "stored_event"), (*_FACTS, *_BESIDE, *_GOLD))
RECONCILE: Final = Job(
    "reconcile_recent",
    ("fact_transfer", "channels"),
    ("settlement_file", "bank_statement", "reconciliation_run", "reconciliation_break", "channel_payout"),
)
PUBLISH: Final = Job(
    "publish_snapshot",
    (*_FACTS, *_BESIDE, "reconciliation_break", "rollup", "rollup_correction"),
    ("snapshot", "quality_check"),
)
EXPORT: Final = Job(
    "make_export",
    (*_FACTS, "fact_webhook_attempt", "fact_case", "reconciliation_break", "snapshot"),
    ("exports",),
)
VERIFY: Final = Job(
    "verify_invariants",
    ("gateway", "stored_event", *_FACTS, "rollup", "rollup_account"),
    ("invariant_check",),
)

JOBS: Final = (INGEST, ARCHIVE, REPLAY, RECONCILE, PUBLISH, EXPORT, VERIFY)
"""In the order of the data. Each run of a scheduled one is told; ingestion has no end, so nothing is told of it."""
