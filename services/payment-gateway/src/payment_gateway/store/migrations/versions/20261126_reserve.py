"""The rolling reserve, and what is in suspense.

Revision: 20261126_reserve
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261126_reserve"
down_revision = "20261126_surcharge"
branch_labels = None
depends_on = None

OWN_ROWS = "merchant_id = current_setting('platform.merchant_id', true)"


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _add_check(table: str, name: str, rule: str) -> None:
    """NOT VALID, then VALIDATE: no long lock on a table in use."""
    constraint = f"{table}_{name}_check"
    op.execute(f"ALTER TABLE payments.{table} ADD CONSTRAINT {constraint} CHECK ({rule}) NOT VALID")
    op.execute(f"ALTER TABLE payments.{table} VALIDATE CONSTRAINT {constraint}")


def upgrade() -> None:
    op.add_column(
        "merchant_terms",
        sa.Column("reserve_basis_points", sa.SmallInteger(), nullable=True),
        schema="payments",
    )
    op.add_column(
        "merchant_terms", sa.Column("reserve_days", sa.SmallInteger(), nullable=True), schema="payments"
    )
    _add_check(
        "merchant_terms",
        "reserve_is_sane",
        "(reserve_basis_points IS NULL) = (reserve_days IS NULL)"
        " AND reserve_basis_points BETWEEN 1 AND 10000 AND reserve_days BETWEEN 1 AND 365",
    )
    op.create_table(
        "reserve",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("merchant_id", sa.String(collation="C"), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        _time("created_at"),
        _time("release_at"),
        _time("released_at", nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("reserve_amount_is_positive_check")),
        sa.CheckConstraint("released_at >= release_at", name=op.f("reserve_released_when_due_check")),
        sa.ForeignKeyConstraint(
            ["merchant_id"], ["payments.merchant.id"], name=op.f("reserve_merchant_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("reserve_pkey")),
        schema="payments",
    )
    op.create_index("reserve_by_merchant_idx", "reserve", ["merchant_id", "id"], schema="payments")
    op.create_index(
        "reserve_due_idx", "reserve", ["release_at"], schema="payments",
        postgresql_where=sa.text("released_at IS NULL"),
    )  # fmt: skip
    op.execute("REVOKE DELETE ON payments.reserve FROM payments_app")
    op.execute("GRANT SELECT ON payments.reserve TO payments_tenant")
    op.execute("CREATE POLICY all_rows ON payments.reserve TO payments_app USING (true) WITH CHECK (true)")
    op.execute(f"CREATE POLICY own_rows ON payments.reserve FOR SELECT TO payments_tenant USING ({OWN_ROWS})")
    op.execute("ALTER TABLE payments.reserve ENABLE ROW LEVEL SECURITY")
    _create_suspense()
    # What was kept back is given back once: the account that holds it cannot be overdrawn, whatever the code believes.
    _add_check(
        "account",
        "reserve_is_not_overdrawn",
        "kind <> 'reserve' OR NOT starts_with(owner, 'merchant:') OR credits_posted >= debits_posted",
    )


def _create_suspense() -> None:
    def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
        return sa.Column(name, sa.String(), nullable=nullable)

    op.create_table(
        "suspense",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        text("channel"),
        text("reference"),
        text("direction"),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        text("note"),
        _time("created_at"),
        _time("resolved_at", nullable=True),
        text("resolved_to", nullable=True),
        sa.Column("resolved_merchant", sa.String(collation="C"), nullable=True),
        text("resolution", nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("suspense_amount_is_positive_check")),
        sa.CheckConstraint(
            "(resolved_at IS NULL) = (resolved_to IS NULL)", name=op.f("suspense_resolved_to_somebody_check")
        ),
        sa.CheckConstraint(
            "(resolved_to IS NOT DISTINCT FROM 'merchant') = (resolved_merchant IS NOT NULL)",
            name=op.f("suspense_merchant_where_it_is_one_check"),
        ),
        sa.CheckConstraint("direction IN ('received', 'taken')", name=op.f("suspense_direction_check")),
        sa.CheckConstraint(
            "resolved_to IN ('channel', 'costs', 'platform', 'merchant')",
            name=op.f("suspense_resolved_to_check"),
        ),
        sa.ForeignKeyConstraint(
            ["resolved_merchant"], ["payments.merchant.id"], name=op.f("suspense_resolved_merchant_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("suspense_pkey")),
        schema="payments",
    )
    op.create_index(
        "suspense_open_idx",
        "suspense",
        ["id"],
        schema="payments",
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.execute("REVOKE DELETE ON payments.suspense FROM payments_app")
    op.execute("ALTER TABLE payments.audit_entry ALTER COLUMN merchant_id DROP NOT NULL")
