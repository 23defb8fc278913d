"""Webhooks in full: filters, rotation, v1a keys, failure since when, attempts as history, replay cycles.

Revision: 20261126_webhooks
Expand only: the version that runs now goes on writing endpoints and deliveries without knowing the new columns.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261126_webhooks"
down_revision = "20261126_lifecycle"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column(
            "event_types",
            sa.ARRAY(sa.String()),
            nullable=True,
            comment="null = all; `payment.*` = all that begin so",
        ),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("style", sa.String(), server_default=sa.text("'native'"), nullable=False),
        sa.Column(
            "private_key",
            sa.String(),
            nullable=True,
            comment="ed25519 seed of v1a; null for an endpoint older than that",
        ),
        sa.Column(
            "retiring",
            postgresql.JSONB(),
            server_default=sa.text("'[]'"),
            nullable=False,
            comment="replaced keys that still sign",
        ),
        sa.Column(
            "failing_since",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="the first failure of an unbroken row of them",
        ),
        sa.Column("last_failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.String(), nullable=True),
        sa.Column(
            "deleted_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="kept for its deliveries' sake; shown to nobody",
        ),
    ):
        op.add_column("webhook_endpoint", column, schema="payments")
    op.create_check_constraint(
        op.f("webhook_endpoint_style_check"),
        "webhook_endpoint",
        "style IN ('native', 'stripe')",
        schema="payments",
    )
    op.create_check_constraint(
        op.f("webhook_endpoint_deleted_is_disabled_check"), "webhook_endpoint",
        "deleted_at IS NULL OR NOT enabled", schema="payments",
    )  # fmt: skip
    op.add_column(
        "webhook_delivery",
        sa.Column(
            "cycle",
            sa.Integer(),
            server_default=sa.text("1"),
            nullable=False,
            comment="1, and one more for each replay",
        ),
        schema="payments",
    )
    op.create_index(
        "webhook_delivery_by_endpoint_idx", "webhook_delivery", ["endpoint_id", "id"], schema="payments"
    )
    op.create_index(
        "webhook_delivery_by_event_idx", "webhook_delivery", ["event_id", "id"], schema="payments"
    )
    op.create_table(
        "webhook_attempt",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("delivery_id", sa.String(collation="C"), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False, comment="within its cycle, from 1"),
        sa.Column("status_code", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["payments.webhook_delivery.id"], name=op.f("webhook_attempt_delivery_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_attempt_pkey")),
        schema="payments",
    )
    op.create_index(
        "webhook_attempt_by_delivery_idx", "webhook_attempt", ["delivery_id", "id"], schema="payments"
    )
    op.execute("REVOKE UPDATE, DELETE ON payments.webhook_attempt FROM payments_app")
