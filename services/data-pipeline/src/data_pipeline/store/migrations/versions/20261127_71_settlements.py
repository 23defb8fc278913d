"""Settlements of merchants: batches that never change once they are closed, and their lines.

Revision: 20261127_71
Expand only: the version that runs now must work with the schema after this.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "20261127_71"
down_revision = "20261127_70"
branch_labels = None
depends_on = None

SECTIONS = (
    "captures", "refunds", "disputes", "fees", "reserve", "conversions", "corrections", "payouts",
)  # fmt: skip
SAID = (
    "merchant_id", "currency", "number", "opened_at", "closes_at", "opening_minor", "closing_minor", "line_count",
    "late_count", "position", "closed_at", "closed_by", *(f"{section}_minor" for section in SECTIONS),
)  # fmt: skip


def upgrade() -> None:
    text, time, amount = sa.String(collation="C"), sa.DateTime(timezone=True), sa.BigInteger()
    op.create_table(
        "settlement_batch",
        *(sa.Column(name, text, nullable=False) for name in ("id", "merchant_id", "currency")),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", text, nullable=False),
        sa.Column("opened_at", time, nullable=False),
        sa.Column("closes_at", time, nullable=False),
        sa.Column("opening_minor", amount, nullable=False),
        *(
            sa.Column(f"{section}_minor", amount, server_default=sa.text("0"), nullable=False)
            for section in SECTIONS
        ),
        sa.Column("closing_minor", amount, nullable=False),
        sa.Column("accounts", sa.JSON(), nullable=False),
        sa.Column("line_count", amount, server_default=sa.text("0"), nullable=False),
        sa.Column("late_count", amount, server_default=sa.text("0"), nullable=False),
        sa.Column("position", amount, nullable=False),
        sa.Column("seen_from", time, nullable=True),
        sa.Column("refreshed_at", time, nullable=False),
        sa.Column("closed_at", time, nullable=True),
        sa.Column("closed_by", text, nullable=True),
        *(sa.Column(f"{name}_at", time, nullable=True) for name in ("generated", "paid", "reconciled")),
        sa.Column("manifest", sa.JSON(), nullable=True),
        sa.CheckConstraint("opened_at < closes_at", name="period"),
        sa.CheckConstraint(
            " + ".join(["opening_minor", *(f"{section}_minor" for section in SECTIONS)]) + " = closing_minor",
            name="nets",
        ),
        sa.CheckConstraint(
            "(state = 'open') = (closed_at IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL)",
            name="closed",
        ),
        sa.CheckConstraint("state IN ('closed', 'generated', 'open', 'paid', 'reconciled')", name="state"),
        sa.PrimaryKeyConstraint("id", name=op.f("settlement_batch_pkey")),
        sa.UniqueConstraint(
            "merchant_id", "currency", "number", name=op.f("settlement_batch_merchant_id_currency_number_key")
        ),
        schema="pipeline",
    )
    op.create_table(
        "settlement_line",
        sa.Column("journal_id", text, nullable=False),
        sa.Column("line", sa.SmallInteger(), nullable=False),
        *(sa.Column(name, text, nullable=False) for name in ("batch_id", "section", "kind")),
        sa.Column("occurred_at", time, nullable=False),
        sa.Column("object_id", text, nullable=False),
        sa.Column("reference", text, nullable=True),
        *(sa.Column(name, text, nullable=False) for name in ("debit", "credit")),
        *(sa.Column(name, amount, nullable=False) for name in ("amount_minor", "effect_minor")),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.Column("position", amount, nullable=False),
        sa.CheckConstraint("amount_minor > 0 AND abs(effect_minor) IN (0, amount_minor)", name="amounts"),
        sa.CheckConstraint(
            "section IN ('between_accounts', 'captures', 'conversions', 'corrections', 'disputes', 'fees',"
            " 'payouts', 'refunds', 'reserve')",
            name="section",
        ),
        sa.PrimaryKeyConstraint("journal_id", "line", name=op.f("settlement_line_pkey")),
        schema="pipeline",
    )
    on_its_way = sa.text("state IN ('closed', 'generated', 'paid')")
    newest = [sa.text("closes_at DESC"), sa.text("id DESC")]
    indexes: tuple[tuple[str, str, list[Any], Any], ...] = (
        ("settlement_batch_latest_idx", "settlement_batch", newest, None),
        ("settlement_batch_merchant_idx", "settlement_batch", ["merchant_id", *newest], None),
        ("settlement_batch_on_its_way_idx", "settlement_batch", ["state"], on_its_way),
        (
            "settlement_line_batch_idx",
            "settlement_line",
            ["batch_id", "occurred_at", "journal_id", "line"],
            None,
        ),
        ("settlement_line_payouts_idx", "settlement_line", ["batch_id"], sa.text("section = 'payouts'")),
        (
            "stored_event_late_idx",
            "stored_event",
            ["merchant_id", "received_at"],
            sa.text("received_at - occurred_at > '00:00:30'::interval"),
        ),
    )
    for name, table, columns, where in indexes:
        op.create_index(name, table, columns, schema="pipeline", postgresql_where=where)
    op.create_index(
        "settlement_batch_open_idx", "settlement_batch", ["merchant_id", "currency"], unique=True,
        schema="pipeline", postgresql_where=sa.text("state = 'open'"),
    )  # fmt: skip
    op.execute("REVOKE DELETE, TRUNCATE ON pipeline.settlement_batch FROM pipeline_app")
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON pipeline.settlement_line FROM pipeline_app")
    said = ", ".join(SAID)
    old, new = (", ".join(f"{side}.{name}" for name in SAID) for side in ("OLD", "NEW"))
    changed = f"({old}) IS DISTINCT FROM ({new})"
    op.execute(
        f"""
        CREATE FUNCTION pipeline.keep_closed_batch() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'batch % is closed: what it says does not change', OLD.id
                USING ERRCODE = 'restrict_violation', HINT = '{said}';
        END $$
        """
    )
    op.execute(
        f"""
        CREATE TRIGGER keep_closed_batch BEFORE UPDATE ON pipeline.settlement_batch FOR EACH ROW
        WHEN (OLD.state <> 'open' AND ({changed} OR OLD.accounts::text <> NEW.accounts::text OR NEW.state = 'open'))
        EXECUTE FUNCTION pipeline.keep_closed_batch()
        """
    )
