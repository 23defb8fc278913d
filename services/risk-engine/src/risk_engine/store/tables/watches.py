"""What the watchers of decisions, drift and the chain remember."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    LargeBinary,
    String,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from risk_engine.store.tables.schema import NOW, Id, Time, metadata

# Decisions by the minute, so that a look at six hours reads 360 rows. Rolled up by `created_at`, the database's time.
decision_minute = Table(
    "decision_minute",
    metadata,
    Column("minute", Time, primary_key=True),
    Column("decisions", JSONB, nullable=False),  # {"allow": 12, …}
    Column("bad", BigInteger, nullable=False),  # late or degraded
    Column("faults", JSONB, nullable=False),  # {"velocity": 3, …}
    Column(
        "ahead_ms", BigInteger, nullable=False
    ),  # of the deciding processes' clocks, at most; may be negative
    Column("behind_ms", BigInteger, nullable=False),  # the least of the same
)

# What a model saw when somebody said that it was as it should be.
drift_reference = Table(
    "drift_reference",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("model", Id, nullable=False),
    Column("samples", JSONB, nullable=False),  # {"amount_ratio_1d": [1.0, …], …, "score": […]}
    Column("pinned_by", String, nullable=False),
    Column("pinned_at", Time, nullable=False, server_default=NOW),
)
Index("drift_reference_model_id_idx", drift_reference.c.model, drift_reference.c.id)

# How far the watcher of the chain has recomputed it, and the head that it saw last. One row, made by the migration.
chain_watch = Table(
    "chain_watch",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("checked_to", BigInteger, nullable=False, server_default=text("0")),
    Column("swept_at", Time),  # the last time that all of it had been recomputed
    Column("head_position", BigInteger, nullable=False, server_default=text("0")),
    Column("head_hash", LargeBinary),
    Column("broken_at", BigInteger),  # the first break that is not mended
    CheckConstraint("one", name="one"),
)
