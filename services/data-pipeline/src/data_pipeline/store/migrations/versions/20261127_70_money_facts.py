"""Facts of disputes, payouts to merchants and reserves, and a replay that rebuilds them, too.

Revision: 20261127_70
Expand only: the version that runs now must work with the schema after this. What was told before this is filled in by a
replay (`platform data replay start --may-differ`).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "20261127_70"
down_revision = "20261127_76"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text, time = sa.String(collation="C"), sa.DateTime(timezone=True)

    def column(name: str, kind: Any = text, *, nullable: bool = False) -> sa.Column[Any]:
        return sa.Column(name, kind, nullable=nullable)

    amount = sa.BigInteger()
    op.create_table(
        "fact_dispute",
        column("dispute_id"),
        column("payment_id"),
        column("merchant_id"),
        column("channel", nullable=True),
        column("status"),
        column("reason", sa.String()),
        *(column(f"{name}_minor", amount) for name in ("amount", "reserved", "fee", "fee_returned")),
        column("currency"),
        column("closed_by", nullable=True),
        *(column(name, time) for name in ("evidence_due_at", "created_at", "updated_at")),
        column("decided_at", time, nullable=True),
        column("position", amount),
        sa.CheckConstraint(
            "status IN ('lost', 'needs_response', 'under_review', 'warning', 'warning_closed', 'won')",
            name="status",
        ),
        sa.PrimaryKeyConstraint("dispute_id", name=op.f("fact_dispute_pkey")),
        schema="pipeline",
    )
    op.create_table(
        "fact_payout",
        column("payout_id"),
        column("merchant_id"),
        column("status"),
        column("amount_minor", amount),
        column("currency"),
        column("destination"),
        column("slot", nullable=True),
        column("failure_code", nullable=True),
        column("created_at", time),
        column("updated_at", time),
        column("decided_at", time, nullable=True),
        column("position", amount),
        sa.CheckConstraint("amount_minor > 0", name="amount_minor"),
        sa.CheckConstraint(
            "status IN ('cancelled', 'failed', 'in_transit', 'paid', 'pending', 'returned')", name="status"
        ),
        sa.PrimaryKeyConstraint("payout_id", name=op.f("fact_payout_pkey")),
        schema="pipeline",
    )
    op.create_table(
        "fact_reserve",
        column("reserve_id"),
        column("merchant_id"),
        column("amount_minor", amount),
        column("currency"),
        column("created_at", time),
        column("release_at", time),
        column("decided_at", time, nullable=True),
        column("position", amount),
        sa.PrimaryKeyConstraint("reserve_id", name=op.f("fact_reserve_pkey")),
        schema="pipeline",
    )
    indexes: tuple[tuple[str, str, list[Any]], ...] = (
        ("fact_dispute_payment_id_idx", "fact_dispute", ["payment_id"]),
        ("fact_dispute_merchant_id_idx", "fact_dispute", ["merchant_id", sa.text("created_at DESC")]),
        ("fact_payout_merchant_id_idx", "fact_payout", ["merchant_id", sa.text("created_at DESC")]),
        ("fact_reserve_merchant_id_idx", "fact_reserve", ["merchant_id", "release_at"]),
    )
    for name, table, columns in indexes:
        op.create_index(name, table, columns, schema="pipeline")
    op.create_index(
        "fact_transfer_merchant_idx",
        "fact_transfer",
        ["merchant_id", "currency", "occurred_at"],
        schema="pipeline",
        postgresql_where=sa.text("merchant_id IS NOT NULL"),
    )
    op.execute(
        """
        DO $do$ BEGIN
            EXECUTE format(
                'CREATE OR REPLACE FUNCTION pipeline.replayed_tables() RETURNS text[] '
                'LANGUAGE sql IMMUTABLE RETURN %L::text[]',
                pipeline.replayed_tables() || ARRAY['fact_dispute', 'fact_payout', 'fact_reserve']
            );
        END $do$
        """
    )
