"""Rule sets, who approved them, which decides, and how they did on history."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from risk_engine.store.tables.schema import NOW, Id, Time, metadata

rule_set = Table(
    "rule_set",
    metadata,
    Column("hash", Id, primary_key=True),
    Column("name", String, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("created_at", Time, nullable=False, server_default=NOW),
    Column("saved_by", Id, nullable=False, server_default=text("'system:platform'")),
    UniqueConstraint("hash", "saved_by"),  # for the approval to refer to: it must not be by the same person
    CheckConstraint("hash ~ '^[0-9a-f]{64}$'", name="hash"),
)

rule_set_approval = Table(
    "rule_set_approval",
    metadata,
    Column("rule_set", Id, primary_key=True),
    Column("saved_by", Id, nullable=False),
    Column("approved_by", Id, nullable=False),
    Column("note", String),
    Column("approved_at", Time, nullable=False, server_default=NOW),
    ForeignKeyConstraint(["rule_set", "saved_by"], ["risk.rule_set.hash", "risk.rule_set.saved_by"]),
    CheckConstraint("approved_by <> saved_by", name="second_person"),
)

# The newest row is the pointer to what decides; the older ones are its history. With a challenger it is a trial.
rule_set_publication = Table(
    "rule_set_publication",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("rule_set", Id, ForeignKey("risk.rule_set.hash"), nullable=False),
    Column("published_at", Time, nullable=False, server_default=NOW),
    Column("act", Id, nullable=False, server_default=text("'publish'")),
    Column("acted_by", Id, nullable=False, server_default=text("'system:platform'")),
    Column("challenger", Id, ForeignKey("risk.rule_set.hash")),
    Column(
        "challenger_share_bp", SmallInteger
    ),  # basis points of payments that it decides; 0 = in the shadow
    CheckConstraint("act IN ('publish', 'rollback', 'trial', 'end_trial')", name="act"),
    CheckConstraint(
        "(challenger IS NULL) = (challenger_share_bp IS NULL) AND challenger_share_bp BETWEEN 0 AND 5000",
        name="challenger",
    ),
)

backtest = Table(
    "backtest",
    metadata,
    Column("id", Id, primary_key=True),
    Column("rule_set", Id, ForeignKey("risk.rule_set.hash"), nullable=False),
    Column("since", Time, nullable=False),
    Column("until", Time, nullable=False),
    Column("asked_by", Id, nullable=False),
    Column("asked_at", Time, nullable=False, server_default=NOW),
    Column("status", Id, nullable=False, server_default=text("'queued'")),
    Column("progressed_at", Time),
    Column("done", BigInteger, nullable=False, server_default=text("0")),
    Column("total", BigInteger),
    Column("report", JSONB),
    Column("failure", String),
    Column("finished_at", Time),
    CheckConstraint("status IN ('queued', 'running', 'done', 'failed')", name="status"),
    CheckConstraint("(status = 'done') = (report IS NOT NULL)", name="report"),
)
Index("backtest_rule_set_id_idx", backtest.c.rule_set, backtest.c.id)
