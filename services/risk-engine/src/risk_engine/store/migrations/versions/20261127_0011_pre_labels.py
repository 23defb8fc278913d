"""pre: labels, and which payments are related

Revision ID: 0011
Revises: 0010
Create Date: 2026-11-27
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE risk.payment_link (
        entity VARCHAR COLLATE "C" NOT NULL,
        occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
        assessment_id VARCHAR COLLATE "C" NOT NULL,
        CONSTRAINT payment_link_pkey PRIMARY KEY (entity, occurred_at, assessment_id)
    )
    """,
    "CREATE INDEX payment_link_occurred_at_idx ON risk.payment_link USING brin (occurred_at)",
    """
    CREATE TABLE risk.label (
        id VARCHAR COLLATE "C" NOT NULL,
        payment_id VARCHAR COLLATE "C" NOT NULL,
        assessment_id VARCHAR COLLATE "C",
        kind VARCHAR COLLATE "C" NOT NULL,
        source VARCHAR COLLATE "C" NOT NULL,
        event_at TIMESTAMP WITH TIME ZONE NOT NULL,
        labelled_at TIMESTAMP WITH TIME ZONE NOT NULL,
        actor VARCHAR COLLATE "C" NOT NULL,
        CONSTRAINT label_pkey PRIMARY KEY (id),
        CONSTRAINT label_kind_check CHECK (kind IN ('fraud', 'legitimate')),
        CONSTRAINT label_source_check CHECK (source IN ('dispute', 'refund_fraud', 'case', 'upload'))
    )
    """,
    "CREATE INDEX label_assessment_id_idx ON risk.label (assessment_id)",
    "CREATE INDEX label_payment_id_idx ON risk.label (payment_id, source, labelled_at, id)",
    "REVOKE UPDATE, DELETE, TRUNCATE ON risk.label FROM risk_app",
)


def upgrade() -> None:
    """Labels are added and superseded, never edited: what was known at a time must stay known."""
    for statement in STATEMENTS:
        op.execute(statement)
