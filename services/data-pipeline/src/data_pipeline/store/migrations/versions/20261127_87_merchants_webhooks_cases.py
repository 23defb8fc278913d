"""Merchants by version, attempts to send webhooks, cases of the review queue; a replay rebuilds them, too.

Revision: 20261127_87
Expand only: the version that runs now must work with the schema after this. What was told before this as `unknown_type`
is replayed from quarantine.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "20261127_87"
down_revision = "20261127_83"
branch_labels = None
depends_on = None

SNAPSHOT = ("fact_assessment", "fact_payment", "fact_refund", "fact_transfer", "reconciliation_break")
NEW = ("merchant_version", "fact_webhook_attempt", "fact_case")


def upgrade() -> None:
    text, time = sa.String(collation="C"), sa.DateTime(timezone=True)
    amount, number = sa.BigInteger(), sa.Integer()

    def column(name: str, kind: Any = text, *, nullable: bool = False) -> sa.Column[Any]:
        return sa.Column(name, kind, nullable=nullable)

    op.create_table(
        "merchant_version",
        column("merchant_id"),
        sa.Column("position", amount, autoincrement=False, nullable=False),
        column("name", sa.String()),
        column("country"),
        column("mcc", nullable=True),
        column("api_version"),
        column("is_disabled", sa.Boolean()),
        column("settlement_delay_days", number),
        column("settlement_currency", nullable=True),
        column("fee_plan", sa.JSON(), nullable=True),
        column("reserve_basis_points", number, nullable=True),
        column("reserve_days", number, nullable=True),
        column("told_at", time),
        column("valid_from", time),
        column("valid_to", time, nullable=True),
        sa.CheckConstraint("valid_from <= valid_to", name="in_force"),
        sa.PrimaryKeyConstraint("merchant_id", "position", name=op.f("merchant_version_pkey")),
        schema="pipeline",
    )
    op.create_table(
        "fact_webhook_attempt",
        column("told_by"),
        column("line", sa.SmallInteger()),
        *(column(name) for name in ("delivery_id", "endpoint_id", "merchant_id", "event_id", "event_type")),
        column("cycle", number),
        column("number", number),
        column("outcome"),
        column("status_code", number, nullable=True),
        column("error", nullable=True),
        column("duration_ms", amount),
        column("waited_ms", amount, nullable=True),
        column("ended_at", time),
        column("position", amount),
        sa.CheckConstraint("outcome IN ('delivered', 'given_up', 'retried')", name="outcome"),
        sa.PrimaryKeyConstraint("told_by", "line", name=op.f("fact_webhook_attempt_pkey")),
        schema="pipeline",
    )
    op.create_table(
        "fact_case",
        column("case_id"),
        column("merchant_id"),
        column("priority"),
        column("payment_count", amount),
        column("status"),
        column("had_proposal", sa.Boolean()),
        column("opened_at", time),
        column("due_at", time),
        column("decided_at", time, nullable=True),
        column("position", amount),
        sa.CheckConstraint("priority IN ('high', 'low', 'medium', 'urgent')", name="priority"),
        sa.CheckConstraint("status IN ('approved', 'ended', 'open', 'rejected')", name="status"),
        sa.PrimaryKeyConstraint("case_id", name=op.f("fact_case_pkey")),
        schema="pipeline",
    )
    for name, table, clock in (
        ("merchant_version_told_idx", "merchant_version", "told_at"),
        ("fact_webhook_attempt_ended_at_idx", "fact_webhook_attempt", "ended_at"),
        ("fact_case_opened_at_idx", "fact_case", "opened_at"),
    ):
        op.create_index(op.f(name), table, [clock], schema="pipeline")
    listed = ", ".join(f"'{name}'" for name in sorted((*SNAPSHOT, *NEW)))
    for table in ("dirty_partition", "quality_check"):
        op.execute(
            f"ALTER TABLE pipeline.{table} DROP CONSTRAINT {table}_name_check,"
            f" ADD CONSTRAINT {table}_name_check CHECK (name IN ({listed}))"
        )
    op.execute(
        f"""
        DO $do$ BEGIN
            EXECUTE format(
                'CREATE OR REPLACE FUNCTION pipeline.replayed_tables() RETURNS text[] '
                'LANGUAGE sql IMMUTABLE RETURN %L::text[]',
                pipeline.replayed_tables() || ARRAY{list(NEW)!r}
            );
        END $do$
        """
    )
