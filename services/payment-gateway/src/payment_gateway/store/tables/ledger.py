"""Accounts and transfers."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    String,
    Table,
    UniqueConstraint,
    text,
)

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
)
