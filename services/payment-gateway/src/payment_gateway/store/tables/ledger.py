"""Accounts, holds, and the append-only rows: transfers, journals, and the chain over them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from payment_gateway.store.tables.schema import NOW, Id, Time, metadata, one_of

account = Table(
    "account",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("owner", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("debits_posted", BigInteger, nullable=False, server_default=text("0")),
    Column("credits_posted", BigInteger, nullable=False, server_default=text("0")),
    Column("debits_pending", BigInteger, nullable=False, server_default=text("0")),
    Column("credits_pending", BigInteger, nullable=False, server_default=text("0")),
    Column("floor_minor", BigInteger),  # NULL = unbounded
    Column("ceiling_minor", BigInteger),  # NULL = unbounded
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("created_at", Time, nullable=False, server_default=NOW),
    UniqueConstraint("owner", "kind", "currency"),
    UniqueConstraint("id", "currency"),  # what the transfers' composite keys point to
    CheckConstraint(
        "debits_posted >= 0 AND credits_posted >= 0 AND debits_pending >= 0 AND credits_pending >= 0",
        name="counters_not_negative",
    ),
    CheckConstraint(
        "floor_minor IS NULL OR credits_posted - debits_posted - debits_pending >= floor_minor",
        name="not_below_floor",
    ),
    CheckConstraint(
        "ceiling_minor IS NULL OR credits_posted + credits_pending - debits_posted <= ceiling_minor",
        name="not_above_ceiling",
    ),
    CheckConstraint(
        "kind <> 'reserve' OR NOT starts_with(owner, 'merchant:') OR credits_posted >= debits_posted",
        name="reserve_is_not_overdrawn",
    ),
    postgresql_with={"fillfactor": "50"},  # counters change in place (HOT) instead of growing the index
)

# Append-only: the app role has no UPDATE and no DELETE here. A row cannot be unbalanced, and the composite foreign
# keys make a currency mismatch impossible.
transfer = Table(
    "transfer",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("journal_id", Id, nullable=False, index=True),
    Column("debit_account_id", BigInteger, nullable=False),
    Column("credit_account_id", BigInteger, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("kind", String, nullable=False),
    Column("payment_id", Id),
    Column("recorded_at", Time, nullable=False, server_default=NOW),
    Column("effective_at", Time, nullable=False, server_default=NOW),
    Column("hold_id", Id),
    # The counters that it changed and the version that it made, of either side: NULL on rows older than these columns.
    Column("debit_version", BigInteger),
    Column("debits_posted_after", BigInteger),
    Column("debits_pending_after", BigInteger),
    Column("credit_version", BigInteger),
    Column("credits_posted_after", BigInteger),
    Column("credits_pending_after", BigInteger),
    ForeignKeyConstraint(
        ["debit_account_id", "currency"], ["payments.account.id", "payments.account.currency"]
    ),
    ForeignKeyConstraint(
        ["credit_account_id", "currency"], ["payments.account.id", "payments.account.currency"]
    ),
    CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    CheckConstraint("debit_account_id <> credit_account_id", name="two_accounts"),
    one_of("kind", ("posted", "pending", "post", "release")),
    # The movements of one account, in order: settlement, balance transactions.
    Index("transfer_by_debit_idx", "debit_account_id", "id"),
    Index("transfer_by_credit_idx", "credit_account_id", "id"),
    Index("transfer_by_payment_idx", "payment_id", postgresql_where=text("payment_id IS NOT NULL")),
    Index("transfer_debit_version_key", "debit_account_id", "debit_version", unique=True),
    Index("transfer_credit_version_key", "credit_account_id", "credit_version", unique=True),
    Index("transfer_by_hold_idx", "hold_id", postgresql_where=text("hold_id IS NOT NULL")),
)

# Append-only. Written after its transfers, in the same transaction: a trigger compares what it declares with them, and
# another refuses transfers for a journal that stands already.
journal = Table(
    "journal",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id),
    Column("transfer_count", Integer, nullable=False),
    Column("amount_sum_minor", BigInteger, nullable=False),
    Column("reverses", Id, unique=True),
    Column("reason", String),
    Column("description", String),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'")),
    Column("recorded_at", Time, nullable=False, server_default=NOW),
    ForeignKeyConstraint(["reverses"], ["payments.journal.id"]),
    CheckConstraint("transfer_count > 0", name="has_transfers"),
    CheckConstraint("reverses <> id", name="reverses_another"),
    Index("journal_by_merchant_idx", "merchant_id", "id", postgresql_where=text("merchant_id IS NOT NULL")),
    Index(
        "journal_by_label_idx",
        "metadata",
        postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
        postgresql_where=text("metadata <> '{}'"),  # most have none, and pay nothing for it
    ),
)

hold = Table(
    "hold",
    metadata,
    Column("id", Id, primary_key=True),
    Column("debit_account_id", BigInteger, nullable=False),
    Column("credit_account_id", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("posted_minor", BigInteger, nullable=False, server_default=text("0")),
    Column("released_minor", BigInteger, nullable=False, server_default=text("0")),
    Column("expires_at", Time),
    Column("state", String, nullable=False),
    Column("created_at", Time, nullable=False, server_default=NOW),
    ForeignKeyConstraint(
        ["debit_account_id", "currency"], ["payments.account.id", "payments.account.currency"]
    ),
    ForeignKeyConstraint(
        ["credit_account_id", "currency"], ["payments.account.id", "payments.account.currency"]
    ),
    CheckConstraint("amount_minor > 0", name="amount_is_positive"),
    CheckConstraint("debit_account_id <> credit_account_id", name="two_accounts"),
    CheckConstraint(
        "posted_minor >= 0 AND released_minor >= 0 AND posted_minor + released_minor <= amount_minor",
        name="within_amount",
    ),
    one_of("state", ("pending", "posted", "voided", "expired")),
    CheckConstraint(
        "CASE state WHEN 'pending' THEN released_minor = 0 AND posted_minor < amount_minor"
        " WHEN 'posted' THEN posted_minor = amount_minor"
        " ELSE released_minor > 0 AND posted_minor + released_minor = amount_minor END",
        name="state_fits_amounts",
    ),
    # An account's holds, newest first.
    Index("hold_by_debit_idx", "debit_account_id", "id"),
    Index("hold_by_credit_idx", "credit_account_id", "id"),
    Index(
        "hold_due_idx", "expires_at", postgresql_where=text("state = 'pending' AND expires_at IS NOT NULL")
    ),
)

# Append-only, written by one job at a time: each hash covers a transfer, its journal and the hash before it.
ledger_chain = Table(
    "ledger_chain",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("transfer_id", BigInteger, nullable=False, unique=True),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("chained_at", Time, nullable=False, server_default=NOW),
    ForeignKeyConstraint(["transfer_id"], ["payments.transfer.id"]),
    CheckConstraint("position > 0", name="position_is_positive"),
    Index("ledger_chain_by_time_idx", "chained_at", "transfer_id"),
)
