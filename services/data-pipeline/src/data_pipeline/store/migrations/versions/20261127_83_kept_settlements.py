"""Closed batches take no lines, go only forward and keep their statement; what came back of payouts by itself.

Revision: 20261127_83
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_83"
down_revision = "20261127_82"
branch_labels = None
depends_on = None

SECTIONS = (
    "captures", "refunds", "disputes", "fees", "reserve", "conversions", "corrections", "payouts",
)  # fmt: skip
SAID = (
    "merchant_id", "currency", "number", "opened_at", "closes_at", "opening_minor", "closing_minor", "line_count",
    "late_count", "position", "closed_at", "closed_by", "came_back_minor",
    *(f"{section}_minor" for section in SECTIONS),
)  # fmt: skip
ONCE = ("generated_at", "paid_at", "reconciled_at", "manifest::text")
STATES = "ARRAY['open', 'closed', 'generated', 'paid', 'reconciled']"


def upgrade() -> None:
    op.add_column(
        "settlement_batch",
        sa.Column("came_back_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        schema="pipeline",
    )
    op.execute(
        """
        UPDATE pipeline.settlement_batch b SET came_back_minor = l.effect_minor
        FROM (
            SELECT batch_id, sum(effect_minor)::bigint AS effect_minor FROM pipeline.settlement_line
            WHERE section = 'payouts' AND kind <> 'payout' GROUP BY batch_id
        ) l WHERE l.batch_id = b.id
        """
    )
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
    # Of the statement, not of each row: a batch has 200,000 lines. The lock keeps it open until they are committed.
    op.execute(
        """
        CREATE FUNCTION pipeline.keep_closed_lines() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE its text;
        BEGIN
            FOR its IN SELECT DISTINCT batch_id FROM added LOOP
                PERFORM FROM pipeline.settlement_batch WHERE id = its AND state = 'open' FOR SHARE;
                IF NOT FOUND THEN
                    RAISE EXCEPTION 'batch % is not open: it takes no lines', its
                        USING ERRCODE = 'restrict_violation';
                END IF;
            END LOOP;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER keep_closed_lines AFTER INSERT ON pipeline.settlement_line
        REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION pipeline.keep_closed_lines()
        """
    )
