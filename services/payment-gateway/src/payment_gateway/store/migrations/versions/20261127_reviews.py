"""What was decided about payments under review.

Revision: 20261127_reviews
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_reviews"
down_revision = "20261126_reserve"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE payments.consumer_cursor (
        consumer TEXT COLLATE "C" NOT NULL,
        stream TEXT COLLATE "C" NOT NULL,
        position BIGINT NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT consumer_cursor_pkey PRIMARY KEY (consumer, stream),
        CONSTRAINT consumer_cursor_position_check CHECK (position >= 0)
    )
    """,
    "COMMENT ON COLUMN payments.consumer_cursor.position IS 'highest contiguous position applied'",
    """
    CREATE TABLE payments.review_verdict (
        case_id VARCHAR COLLATE "C" NOT NULL,
        payment_id VARCHAR COLLATE "C" NOT NULL,
        assessment_id VARCHAR COLLATE "C" NOT NULL,
        verdict VARCHAR NOT NULL,
        decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
        due_at TIMESTAMP WITH TIME ZONE DEFAULT now(),
        tries INTEGER DEFAULT 0 NOT NULL,
        outcome VARCHAR,
        finished_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT review_verdict_pkey PRIMARY KEY (case_id, payment_id),
        CONSTRAINT review_verdict_verdict_check CHECK (verdict IN ('approve', 'reject')),
        CONSTRAINT review_verdict_finished_has_an_outcome_check CHECK (
            (due_at IS NULL) = (outcome IS NOT NULL) AND (outcome IS NULL) = (finished_at IS NULL))
    )
    """,
    "COMMENT ON COLUMN payments.review_verdict.assessment_id IS 'the payment may have another one since'",
    "COMMENT ON COLUMN payments.review_verdict.due_at IS 'when to act (again); null once it is finished'",
    "CREATE INDEX review_verdict_due_idx ON payments.review_verdict (due_at) WHERE due_at IS NOT NULL",
    """
    CREATE TABLE payments.quarantined_event (
        event_id VARCHAR COLLATE "C" NOT NULL,
        envelope JSONB NOT NULL,
        error VARCHAR NOT NULL,
        quarantined_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT quarantined_event_pkey PRIMARY KEY (event_id)
    )
    """,
    "REVOKE DELETE, TRUNCATE ON payments.review_verdict, payments.quarantined_event FROM payments_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
