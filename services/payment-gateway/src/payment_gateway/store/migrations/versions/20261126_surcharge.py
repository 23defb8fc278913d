"""What captures cost and refunds give back; what a dispute costs; surcharges.

Revision: 20261126_surcharge
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261126_surcharge"
down_revision = "20261126_ledger2"
branch_labels = None
depends_on = None


def _minor(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


NEW = {
    "payment": [
        _minor("fee_minor"),
        _minor("fee_returned_minor"),
        _minor("surcharge_minor"),
        _minor("surcharge_refunded_minor"),
    ],
    "refund": [_minor("fee_returned_minor"), _minor("surcharge_minor")],
    "attempt": [_minor("surcharge_minor")],
    "dispute": [
        _minor("fee_minor"),
        sa.Column("fee_returns", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    ],
}
CHECKS = {
    ("payment", "fee_returned_within_fee"): (
        "0 <= fee_returned_minor AND fee_returned_minor <= fee_minor AND fee_minor <= captured_minor"
    ),
    (
        "refund",
        "fee_returned_within_amount",
    ): "0 <= fee_returned_minor AND fee_returned_minor <= amount_minor",
    ("payment", "surcharge_within_cap"): (
        "0 <= surcharge_minor AND surcharge_minor * 10400 <= amount_minor * 400"
    ),
    ("payment", "surcharge_refunded_within_surcharge"): (
        "0 <= surcharge_refunded_minor AND surcharge_refunded_minor <= surcharge_minor"
    ),
    ("refund", "surcharge_within_amount"): "0 <= surcharge_minor AND surcharge_minor <= amount_minor",
    ("dispute", "fee_is_not_negative"): "fee_minor >= 0",
}


def upgrade() -> None:
    for table, columns in NEW.items():
        for column in columns:
            op.add_column(table, column, schema="payments")
    for (table, name), rule in CHECKS.items():  # NOT VALID, then VALIDATE: no long lock on a table in use
        constraint = f"{table}_{name}_check"
        op.execute(f"ALTER TABLE payments.{table} ADD CONSTRAINT {constraint} CHECK ({rule}) NOT VALID")
        op.execute(f"ALTER TABLE payments.{table} VALIDATE CONSTRAINT {constraint}")
