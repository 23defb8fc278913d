"""What a merchant was called when a batch was closed, which no more changes than the rest of it.

Revision: 20261127_88
Expand only: the version that runs now must work with the schema after this. Batches that are closed already have no
name and get none: their statements keep their bytes.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_88"
down_revision = "20261127_87"
branch_labels = None
depends_on = None

SECTIONS = (
    "captures", "refunds", "disputes", "fees", "reserve", "conversions", "corrections", "payouts",
)  # fmt: skip
SAID = (
    "merchant_id", "currency", "number", "opened_at", "closes_at", "opening_minor", "closing_minor", "line_count",
    "late_count", "position", "closed_at", "closed_by", "came_back_minor", "merchant_name",
    *(f"{section}_minor" for section in SECTIONS),
)  # fmt: skip
ONCE = ("generated_at", "paid_at", "reconciled_at", "manifest::text")
STATES = "ARRAY['open', 'closed', 'generated', 'paid', 'reconciled']"


def upgrade() -> None:
    op.add_column("settlement_batch", sa.Column("merchant_name", sa.String()), schema="pipeline")
    old, new = (", ".join(f"{side}.{name}" for name in SAID) for side in ("OLD", "NEW"))
    once = " OR ".join(f"OLD.{name} IS NOT NULL AND NEW.{name} IS DISTINCT FROM OLD.{name}" for name in ONCE)
    op.execute(
        f"""
        CREATE OR REPLACE TRIGGER keep_closed_batch BEFORE UPDATE ON pipeline.settlement_batch FOR EACH ROW
        WHEN (OLD.state <> 'open' AND (
            ({old}) IS DISTINCT FROM ({new}) OR OLD.accounts::text <> NEW.accounts::text OR {once}
            OR array_position({STATES}, NEW.state::text) < array_position({STATES}, OLD.state::text)
        ))
        EXECUTE FUNCTION pipeline.keep_closed_batch()
        """
    )
    op.execute(
        f"""
        CREATE OR REPLACE FUNCTION pipeline.keep_closed_batch() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'batch % is closed: what it says does not change, and it only goes forward', OLD.id
                USING ERRCODE = 'restrict_violation', HINT = '{", ".join(SAID)}';
        END $$
        """
    )
