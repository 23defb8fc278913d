"""When a closed batch was last compared with the facts and how it differs; movements that no batch had, and how far
they were looked for. And indexes for lists of breaks and of batches.

Revision: 20261127_84
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_84"
down_revision = "20261127_90"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text, time = sa.String(collation="C"), sa.DateTime(timezone=True)
    for column in (sa.Column("checked_at", time), sa.Column("differences", sa.JSON())):
        op.add_column("settlement_batch", column, schema="pipeline")
    op.create_index(
        "settlement_batch_check_idx",
        "settlement_batch",
        [sa.text("checked_at NULLS FIRST"), "id"],
        schema="pipeline",
        postgresql_where=sa.text("state <> 'open'"),
    )
    op.create_index(
        "settlement_batch_differs_idx",
        "settlement_batch",
        ["id"],
        schema="pipeline",
        postgresql_where=sa.text("differences IS NOT NULL"),
    )
    op.create_table(
        "left_out_movement",
        sa.Column("journal_id", text, nullable=False),
        sa.Column("line", sa.SmallInteger(), nullable=False),
        sa.Column("merchant_id", text, nullable=True),
        sa.Column("currency", text, nullable=False),
        sa.Column("found_at", time, nullable=False),
        sa.PrimaryKeyConstraint("journal_id", "line", name=op.f("left_out_movement_pkey")),
        schema="pipeline",
    )
    op.create_index(
        "left_out_movement_merchant_idx", "left_out_movement", ["merchant_id", "currency"], schema="pipeline"
    )
    op.create_index(
        "left_out_movement_latest_idx",
        "left_out_movement",
        [sa.text("found_at DESC"), sa.text("journal_id DESC"), sa.text("line DESC")],
        schema="pipeline",
    )
    op.create_table(
        "settlement_walk",
        sa.Column("is_only", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        *(
            sa.Column(f"{name}_position", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
            for name in ("followed", "walked")
        ),
        *(sa.Column(f"{name}_at", time, nullable=True) for name in ("looked", "began", "ended")),
        sa.CheckConstraint("is_only", name="is_only"),
        sa.PrimaryKeyConstraint("is_only", name=op.f("settlement_walk_pkey")),
        schema="pipeline",
    )
    for name in ("state", "currency"):
        columns = [name, sa.text("closes_at DESC"), sa.text("id DESC")]
        op.create_index(f"settlement_batch_{name}_idx", "settlement_batch", columns, schema="pipeline")
    # Of all breaks, closed ones too: a page of the list that has them is read in its order.
    op.create_index(
        "reconciliation_break_opened_idx", "reconciliation_break", ["opened_at", "id"], schema="pipeline"
    )
    op.execute("INSERT INTO pipeline.settlement_walk DEFAULT VALUES")
    op.execute("REVOKE DELETE, TRUNCATE ON pipeline.left_out_movement FROM pipeline_app")
    op.execute("REVOKE INSERT, DELETE, TRUNCATE ON pipeline.settlement_walk FROM pipeline_app")
