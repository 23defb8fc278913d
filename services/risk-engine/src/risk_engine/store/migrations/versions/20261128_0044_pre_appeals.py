"""pre: appeals against decisions, which are cases of a kind of their own

Revision ID: 0044
Revises: 0043
Create Date: 2026-11-28
"""

from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

# The older release opens reviews and names no kind; an appeal that it should decide during an upgrade has no payments
# for it, hence no label: the newer one is asked for appeals only once it runs everywhere (docs/risk-cases.md).
STATEMENTS = (
    """
    ALTER TABLE risk.review_case
        ADD COLUMN kind VARCHAR COLLATE "C" NOT NULL DEFAULT 'review',
        ADD COLUMN barred VARCHAR COLLATE "C",
        ADD CONSTRAINT review_case_kind_check CHECK (kind IN ('review', 'appeal'))
    """,
    """
    CREATE TABLE risk.appeal (
        id VARCHAR COLLATE "C" NOT NULL,
        merchant_id VARCHAR COLLATE "C" NOT NULL,
        assessment_id VARCHAR COLLATE "C" NOT NULL,
        payment_id VARCHAR COLLATE "C" NOT NULL,
        case_id VARCHAR COLLATE "C" NOT NULL,
        made_by VARCHAR COLLATE "C" NOT NULL,
        reason VARCHAR NOT NULL,
        recorded_by VARCHAR COLLATE "C" NOT NULL,
        made_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT appeal_pkey PRIMARY KEY (id),
        CONSTRAINT appeal_assessment_id_key UNIQUE (assessment_id),
        CONSTRAINT appeal_case_id_key UNIQUE (case_id),
        CONSTRAINT appeal_made_by_check CHECK (made_by IN ('merchant', 'cardholder'))
    )
    """,
    "CREATE INDEX appeal_merchant_id_id_idx ON risk.appeal (merchant_id, id)",
    "REVOKE UPDATE, DELETE, TRUNCATE ON risk.appeal FROM risk_app",
)


def upgrade() -> None:
    """What was asked is not edited."""
    for statement in STATEMENTS:
        op.execute(statement)
