"""Routing decisions and their rules; reports that are parked; what each report came to.

Revision: 20261126_channels
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261126_channels"
down_revision = "20261126_stripe"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "routing_decision",
        sa.Column("attempt_id", sa.String(collation="C"), nullable=False),
        sa.Column("payment_id", sa.String(collation="C"), nullable=False),
        sa.Column("rules_digest", sa.String(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("route", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("routing_decision_pkey")),
        schema="payments",
    )
    op.create_index(
        "routing_decision_by_payment_idx", "routing_decision", ["payment_id"], unique=False, schema="payments"
    )
    op.create_table(
        "routing_rule_set",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("routing_rule_set_pkey")),
        schema="payments",
    )
    op.create_table(
        "parked_event",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("channel", "event_id", name=op.f("parked_event_pkey")),
        schema="payments",
    )
    op.create_index("parked_event_due_idx", "parked_event", ["due_at"], unique=False, schema="payments")
    op.add_column("channel_event", sa.Column("effect", sa.String(), nullable=True), schema="payments")
    op.execute(
        "REVOKE UPDATE, DELETE ON payments.routing_decision, payments.routing_rule_set FROM payments_app"
    )
