"""Gold: what each account of the ledger was debited and credited, by hour, by day and in all."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Table

from data_pipeline.domain.balances import Period
from data_pipeline.store.tables.schema import Text, Time, metadata, one_of

# The key begins with the account: its page sums up its own buckets. A trial balance takes one period of all.
rollup_account = Table(
    "rollup_account",
    metadata,
    Column("account", Text, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("bucket_at", Time, primary_key=True),
    Column("debits_minor", BigInteger, nullable=False),
    Column("credits_minor", BigInteger, nullable=False),
    Column("debits_held_minor", BigInteger, nullable=False),
    Column("credits_held_minor", BigInteger, nullable=False),
    Column("entry_count", BigInteger, nullable=False),
    one_of("period", Period),
    # Both only ever grow. What is held in a bucket may be below zero: it was set aside in an earlier one.
    CheckConstraint("debits_minor >= 0 AND credits_minor >= 0 AND entry_count > 0", name="counters"),
)
Index(
    "rollup_account_period_idx",
    rollup_account.c.period,
    rollup_account.c.bucket_at,
    rollup_account.c.account,
    rollup_account.c.currency,
)
