"""Settings of every process of this service, read from the environment."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from platform_kit.settings import ServiceSettings

SERVICE = "data-pipeline"
PACKAGE = "data_pipeline"  # whose migrations make the schema
CONSUMER = "data-pipeline"
"""Name of our cursor and of our consumer group on both streams."""


class Settings(ServiceSettings):
    """Beyond the kit's: where events, assessments and settlement files come from, and how often."""

    port: int = Field(default=8002, ge=0, le=65535)

    gateway_url: str = "http://127.0.0.1:8000"
    risk_url: str = "http://127.0.0.1:8001"
    channels_url: str = "http://127.0.0.1:8003"

    settlement_channels: str = Field(
        default="card_sim,card_sim_2,wallet_sim,bank_sim",
        pattern=r"^[a-z0-9_]+(,[a-z0-9_]+)*$",
        description="channels that give a settlement file, comma-separated",
    )
    reconcile_every_s: int = Field(
        default=60, ge=5, description="pause between runs over today and yesterday"
    )
    reconcile_settle_s: float = Field(
        default=1.0, ge=0, description="time for charges in the file of an open day to reach the ledger"
    )
    head_check_every_s: float = Field(
        default=2.0, gt=0, description="how often the streams' heads are asked for"
    )

    archive_url: str = Field(
        default="",
        description="where events are archived, anything fsspec reads: file:///…, s3://… (extra `s3`); empty: nowhere",
    )
    archive_keep_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="archived days are let go after so many; 0 keeps them for good",
    )
    snapshot_url: str = Field(
        default="",
        description="where facts are kept as Parquet for reports; empty: `facts` below ARCHIVE_URL, if that is set",
    )
    snapshot_every_s: int = Field(default=300, ge=10, description="pause between snapshots of the facts")
    snapshot_rows_max: int = Field(
        default=150_000,
        ge=1,
        description="a day of a table with more rows waits: it is judged in memory (about 400 MB at 200,000 payments)",
    )
    snapshot_keep_days: int = Field(
        default=0, ge=0, le=36_500, description="days of facts leave the snapshot after so many; 0 keeps them"
    )
    engine: Literal["postgres", "duckdb", "spark"] = Field(
        default="postgres",
        description="who answers reports: the live tables, or the snapshot read by DuckDB or Spark (extra `spark`)",
    )
    engine_memory_mb: int = Field(
        default=512,
        ge=64,
        description="what DuckDB or Spark may take for a report; one is computed at a time",
    )
    lineage_url: str = Field(
        default=f"file://{tempfile.gettempdir()}/platform-lineage/events.jsonl",
        pattern=r"^((file|https?)://.+)?$",
        description="where runs of jobs are told as OpenLineage events: a file, a collector's address, or nowhere",
    )
    channel_terms_file: str = Field(
        default="", description="TOML like the packaged channel_terms.toml, which is used when empty"
    )
    statement_format: Literal["camt053", "mt940"] = Field(
        default="camt053", description="the form in which the bank gives its statements"
    )
    statement_account: str = Field(
        default="",
        pattern=r"^[A-Z0-9]{0,34}$",
        description="the account that channels pay to; a statement of another is refused. Empty: not compared",
    )
    four_eyes_above: int = Field(
        default=1000,
        ge=0,
        description="a break of more whole units of its currency takes a second person to close",
    )
    settle_every_s: int = Field(
        default=60, ge=1, description="pause between looks at what merchants' settlements come to"
    )
    settle_close_after_s: int = Field(
        default=900,
        ge=60,
        description="time after midnight UTC for what happened before it to arrive; then a day's settlements close",
    )
    console_cookies_secure: bool = Field(
        default=True, description="send the console's cookie over TLS only; off on a laptop without it"
    )

    backups_dir: Path | None = Field(
        default=None,
        description="where backups of the database lie, a directory each, when this process can see them; read only",
    )
    exports_url: str = Field(
        default=f"file://{tempfile.gettempdir()}/platform-exports",
        description="where exported files are kept, any fsspec location; API and worker must both reach it",
    )
    export_keep_days: int = Field(default=7, ge=1, description="an exported file is removed after so long")
    export_link_s: int = Field(
        default=900, ge=10, le=86_400, description="how long a download link opens its file"
    )

    @property
    def facts_url(self) -> str:
        """Where the snapshot lies; empty when there is none."""
        return self.snapshot_url or (f"{self.archive_url.rstrip('/')}/facts" if self.archive_url else "")

    @model_validator(mode="after")
    def _history_is_somewhere(self) -> Self:
        if self.engine != "postgres" and not self.facts_url:
            raise ValueError(
                f"ENGINE={self.engine} answers from the snapshot: set SNAPSHOT_URL or ARCHIVE_URL"
            )
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self.settlement_channels.split(","))
