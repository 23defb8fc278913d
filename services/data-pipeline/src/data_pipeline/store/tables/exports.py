"""Files that people asked for: due until they are made, gone when their time is over."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, SmallInteger, String, Table, text

from data_pipeline.domain.exports import ExportState, FileFormat
from data_pipeline.store.tables.schema import NOW, Text, Time, metadata, one_of

export = Table(
    "export",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("question", JSON, nullable=False),
    Column("format", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=ExportState.DUE.value),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", Time, nullable=False, server_default=NOW),
    Column("attempt_count", SmallInteger, nullable=False, server_default=text("0")),
    Column("leased_until", Time),  # a worker that died gives the row back by this
    Column("progress_percent", SmallInteger, nullable=False, server_default=text("0")),
    Column("row_count", BigInteger, nullable=False, server_default=text("0")),
    Column("manifest", JSON),
    Column("stored_name", Text),  # of the attempt that finished: a late one writes under another name
    Column("fault", String),
    Column("finished_at", Time),
    Column("expires_at", Time),
    one_of("state", ExportState),
    one_of("format", FileFormat),
)
Index("export_due_idx", export.c.requested_at, postgresql_where=text("state IN ('due', 'running')"))
Index("export_latest_idx", export.c.requested_at.desc())
Index("export_expires_idx", export.c.expires_at, postgresql_where=text("state = 'done'"))
