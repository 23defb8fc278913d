"""pre: which decision a payment's gateway acted upon, and where that was not the stored one

Revision ID: 0043
Revises: 0040
Create Date: 2026-11-28
"""

from alembic import op

revision = "0043"
down_revision = "0040"
branch_labels = None
depends_on = None

# The older release writes none of the three columns itself: `is_fallback` stays null, and such a row is not compared.
# The default comes in a statement of its own: a volatile one given with the column would write the table anew.
STATEMENTS = (
    """
    ALTER TABLE risk.payment_outcome
        ADD COLUMN decision VARCHAR COLLATE "C",
        ADD COLUMN is_fallback BOOLEAN,
        ADD COLUMN recorded_at TIMESTAMP WITH TIME ZONE
    """,
    "ALTER TABLE risk.payment_outcome ALTER COLUMN recorded_at SET DEFAULT clock_timestamp()",
    """
    CREATE TABLE risk.decision_difference (
        payment_id VARCHAR COLLATE "C" NOT NULL,
        outcome VARCHAR COLLATE "C" NOT NULL,
        kind VARCHAR COLLATE "C" NOT NULL,
        merchant_id VARCHAR COLLATE "C" NOT NULL,
        assessment_id VARCHAR COLLATE "C",
        acted_on VARCHAR COLLATE "C",
        stored VARCHAR COLLATE "C",
        found_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT decision_difference_pkey PRIMARY KEY (payment_id, outcome),
        CONSTRAINT decision_difference_kind_check
            CHECK (kind IN ('other_decision', 'unknown_assessment', 'unassessed'))
    )
    """,
    "CREATE INDEX decision_difference_found_at_idx ON risk.decision_difference (found_at)",
    "REVOKE UPDATE, TRUNCATE ON risk.decision_difference FROM risk_app",
    # What came before told nothing to compare: begin behind it.
    """
    INSERT INTO risk.consumer_cursor (consumer, stream, position)
    SELECT 'decisions', 'payment_outcome', coalesce(max(seq), 0) FROM risk.payment_outcome
    """,
)


def upgrade() -> None:
    """Differences are added and forgotten in time, never edited."""
    for statement in STATEMENTS:
        op.execute(statement)
