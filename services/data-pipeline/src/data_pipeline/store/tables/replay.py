"""Replays of the archive into copies of the facts and roll-ups: who asked, how far each is, which files are done."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, CheckConstraint, Column, SmallInteger, String, Table, text

from data_pipeline.domain.replay import ReplayState
from data_pipeline.store.tables.schema import Text, Time, metadata, one_of

replay_run = Table(
    "replay_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", String, nullable=False),
    Column("may_differ", Boolean, nullable=False),
    Column("open_slot", SmallInteger, unique=True),  # one at a time: there is one set of copies
    Column("started_at", Time, nullable=False),
    Column("finished_at", Time),
    Column("row_count", BigInteger, nullable=False, server_default=text("0")),
    Column("done_count", BigInteger, nullable=False, server_default=text("0")),
    Column("refused_count", BigInteger, nullable=False, server_default=text("0")),
    Column("totals", JSON),
    Column("detail", String),
    one_of("state", ReplayState),
    CheckConstraint("(open_slot IS NULL) = (finished_at IS NOT NULL)", name="open"),
)
replay_file = Table(
    "replay_file",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("is_done", Boolean, nullable=False, server_default=text("false")),
)
