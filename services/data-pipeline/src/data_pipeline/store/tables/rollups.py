"""Gold: sums of payments by time and kind, and their times to outcome in buckets."""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    Table,
)

from data_pipeline.domain.rollups import Grain, Measures
from data_pipeline.store.tables.schema import Text, Time, metadata, one_of


def _measures() -> list[Column[int]]:
    """What is counted, for a table that counts it: `Measures` says."""
    return [Column(measure.name, BigInteger, nullable=False) for measure in fields(Measures)]


rollup = Table(
    "rollup",
    metadata,
    Column("grain", Text, primary_key=True),
    Column("bucket_at", Time, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("method", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("decision", Text, primary_key=True),
    *_measures(),
    one_of("grain", Grain),
    # A row may fall back to nothing when its last payment moves to another key, never below.
    CheckConstraint("payment_count >= 0 AND approved_count >= 0 AND declined_count >= 0", name="counts"),
)

# What came after a day was closed, under the day it came. Signed: a payment may leave a key that it was counted in.
rollup_correction = Table(
    "rollup_correction",
    metadata,
    Column("booked_on", Date, primary_key=True),
    Column("corrects_on", Date, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("method", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("decision", Text, primary_key=True),
    *_measures(),
    CheckConstraint("booked_on > corrects_on", name="late"),
)
Index("rollup_correction_corrects_idx", rollup_correction.c.corrects_on)

rollup_latency = Table(
    "rollup_latency",
    metadata,
    Column("bucket_at", Time, primary_key=True),
    Column("bound_ms", Integer, primary_key=True),
    Column("payment_count", BigInteger, nullable=False),
    CheckConstraint("payment_count >= 0", name="payment_count"),
)
