"""Correction lines: what an event changed of a day whose roll-up was closed. Replays rebuild them with the rest.

Revision: 20261127_76
Expand only: the version that runs now must work with the schema after this.

The functions of a replay get one table more in their list. A replay that is open meanwhile has no copy of it and
is refused at its end, as for any other change of shape.
"""

from alembic import op

revision = "20261127_76"
down_revision = "20261127_75"
branch_labels = None
depends_on = None

REPLAYED = (
    "ARRAY['fact_payment', 'fact_refund', 'fact_transfer', 'fact_assessment', 'rollup', 'rollup_latency',"
    " 'rollup_account', 'rollup_correction']"
)


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE pipeline.rollup_correction (
            booked_on date NOT NULL,
            corrects_on date NOT NULL,
            currency varchar COLLATE "C" NOT NULL,
            method varchar COLLATE "C" NOT NULL,
            channel varchar COLLATE "C" NOT NULL,
            decision varchar COLLATE "C" NOT NULL,
            payment_count bigint NOT NULL,
            approved_count bigint NOT NULL,
            declined_count bigint NOT NULL,
            amount_minor bigint NOT NULL,
            captured_minor bigint NOT NULL,
            refunded_minor bigint NOT NULL,
            CONSTRAINT rollup_correction_pkey
                PRIMARY KEY (booked_on, corrects_on, currency, method, channel, decision),
            CONSTRAINT rollup_correction_late_check CHECK (booked_on > corrects_on)
        )
        """
    )
    op.execute("CREATE INDEX rollup_correction_corrects_idx ON pipeline.rollup_correction (corrects_on)")
    op.execute(
        f"""
        CREATE OR REPLACE FUNCTION pipeline.replayed_tables() RETURNS text[]
        LANGUAGE sql IMMUTABLE RETURN {REPLAYED}
        """
    )
