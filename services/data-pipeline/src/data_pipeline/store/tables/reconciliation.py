"""Channels' files, the runs over them, and the breaks that they found."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Index,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from data_pipeline.domain.closing import Act, State
from data_pipeline.domain.payouts import PayoutState
from data_pipeline.domain.reconciliation import BreakClass
from data_pipeline.store.tables.schema import NOW, Text, Time, metadata, one_of

# A channel's file as it came, whole. `raw` of superseded files of a day is let go; the hash stays, because
# breaks name it as evidence.
settlement_file = Table(
    "settlement_file",
    metadata,
    Column("id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("settled_on", Date, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("raw", LargeBinary),
    Column("byte_count", BigInteger, nullable=False),
    Column("line_count", BigInteger),
    Column("fault", Text),
    Column("fault_line", BigInteger),
    Column("fault_detail", String),
    Column("fetched_at", Time, nullable=False),
    UniqueConstraint("channel", "settled_on", "sha256"),
    CheckConstraint("(fault IS NULL) = (line_count IS NOT NULL)", name="whole_or_refused"),
)

reconciliation_run = Table(
    "reconciliation_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("state", Text, nullable=False),
    Column("file_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("file_made_at", Time, nullable=False),
    Column("finished_at", Time, nullable=False, server_default=NOW),
    Column("ledger_count", BigInteger, nullable=False),
    Column("file_count", BigInteger, nullable=False),
    Column("matched_count", BigInteger, nullable=False),
    Column("break_count", BigInteger, nullable=False),
    Column("excluded_count", BigInteger, nullable=False),
    Column("tolerated_count", BigInteger, nullable=False, server_default="0"),
    Column("totals", JSON, nullable=False),
    one_of("state", ("balanced", "broken", "refused")),
)
Index(
    "reconciliation_run_latest_idx",
    reconciliation_run.c.day.desc(),
    reconciliation_run.c.channel,
    reconciliation_run.c.finished_at.desc(),
)

reconciliation_break = Table(
    "reconciliation_break",
    metadata,
    Column("id", Text, primary_key=True),
    Column("day", Date, nullable=False),
    Column("channel", Text, nullable=False),
    Column("break_class", Text, nullable=False),
    Column("settled_type", Text, nullable=False),
    Column("rule", Text),
    Column("journal_id", Text),
    Column("payment_id", Text),
    Column("channel_reference", Text),
    Column("channel_key", Text),
    Column("ledger_amount_minor", BigInteger),
    Column("ledger_currency", Text),
    Column("ledger_at", Time),
    Column("file_amount_minor", BigInteger),
    Column("file_currency", Text),
    Column("file_line", BigInteger),
    Column("file_sha256", Text),
    Column("file_text", String),  # the line as it stood there: superseded files let go of their bytes
    Column("file_fee_minor", BigInteger),
    Column("expected_fee_minor", BigInteger),
    Column("ledger_status", Text),
    Column("bank_amount_minor", BigInteger),  # of a payout; below zero the channel took it
    Column("bank_sha256", Text),
    Column("run_id", Text, nullable=False),
    Column("opened_at", Time, nullable=False),
    Column("last_seen_at", Time, nullable=False),
    Column("closed_at", Time),
    Column("state", Text, nullable=False, server_default=State.OPEN.value),
    Column("resolution", Text),
    Column("decided_by", Text),
    Column("owner", Text),
    one_of("break_class", BreakClass),
    one_of("state", State),
)
Index(None, reconciliation_break.c.day, reconciliation_break.c.channel)
Index(
    "reconciliation_break_open_idx",
    reconciliation_break.c.opened_at,
    postgresql_where=reconciliation_break.c.closed_at.is_(None),
)
Index("reconciliation_break_opened_idx", reconciliation_break.c.opened_at, reconciliation_break.c.id)

# What people did about breaks, and what came of it. Append-only by grant: the standing of a break is what its acts
# come to.
break_act = Table(
    "break_act",
    metadata,
    Column("id", Text, primary_key=True),
    Column("break_id", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", String),
    Column("owner", Text),
    Column("state", Text, nullable=False),  # the break's, after this act
    Column("details", JSON, nullable=False),
    Column("at", Time, nullable=False),
    one_of("act", Act),
    one_of("state", State),
)
Index(None, break_act.c.break_id, break_act.c.at)

# A statement of the bank as it came, whole: evidence of what arrived.
bank_statement = Table(
    "bank_statement",
    metadata,
    Column("currency", Text, primary_key=True),
    Column("booked_on", Date, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("raw", LargeBinary, nullable=False),
    Column("entry_count", BigInteger),
    Column("fault", Text),
    Column("fault_detail", String),
    Column("fetched_at", Time, nullable=False),
    CheckConstraint("(fault IS NULL) = (entry_count IS NOT NULL)", name="whole_or_refused"),
)

# What a channel says that it pays out for a day, and what of it arrived.
channel_payout = Table(
    "channel_payout",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("settled_on", Date, nullable=False),
    Column("currency", Text, nullable=False),
    Column("charge_minor", BigInteger, nullable=False),
    Column("refund_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("net_minor", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("received_minor", BigInteger),
    Column("entry_count", BigInteger, nullable=False),
    Column("statement_sha256", Text),
    Column("checked_at", Time, nullable=False),
    Column("arrived_on", Date),  # of what came late: when its last line was booked
    one_of("state", PayoutState),
    CheckConstraint("net_minor = charge_minor - refund_minor - fee_minor", name="equation"),
)
Index(None, channel_payout.c.settled_on, channel_payout.c.channel)
