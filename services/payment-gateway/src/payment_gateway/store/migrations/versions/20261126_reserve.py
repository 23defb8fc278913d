"""The rolling reserve.

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
    # What was kept back is given back once: the account that holds it cannot be overdrawn, whatever the code believes.
    _add_check(
        "account",
        "reserve_is_not_overdrawn",
        "kind <> 'reserve' OR NOT starts_with(owner, 'merchant:') OR credits_posted >= debits_posted",
    )
