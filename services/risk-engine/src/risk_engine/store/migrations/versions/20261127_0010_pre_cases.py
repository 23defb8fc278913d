"""pre: cases, their payments and their history

Revision ID: 0010
Revises: 0006
Create Date: 2026-11-27
"""

from alembic import op

revision = "0010"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE risk.review_case (
        id VARCHAR COLLATE "C" NOT NULL,
        merchant_id VARCHAR COLLATE "C" NOT NULL,
        status VARCHAR COLLATE "C" NOT NULL,
        priority VARCHAR COLLATE "C" NOT NULL,
        amount_reference_minor BIGINT NOT NULL,
        is_unsized BOOLEAN NOT NULL,
        payment_count INTEGER NOT NULL,
        opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
        due_at TIMESTAMP WITH TIME ZONE NOT NULL,
        assignee VARCHAR COLLATE "C",
        locked_by VARCHAR COLLATE "C",
        locked_until TIMESTAMP WITH TIME ZONE,
        proposed VARCHAR COLLATE "C",
        proposed_by VARCHAR COLLATE "C",
        verdict VARCHAR COLLATE "C",
        closed_by VARCHAR COLLATE "C",
        closed_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT review_case_pkey PRIMARY KEY (id),
        CONSTRAINT review_case_status_check CHECK (status IN ('open', 'in_progress', 'closed')),
        CONSTRAINT review_case_priority_check CHECK (priority IN ('low', 'medium', 'high', 'urgent')),
        CONSTRAINT review_case_verdict_check
            CHECK (verdict IN ('approve', 'reject') AND proposed IN ('approve', 'reject')),
        CONSTRAINT review_case_closed_check CHECK ((status = 'closed') = (closed_at IS NOT NULL))
    )
    """,
    "CREATE INDEX review_case_due_idx ON risk.review_case (due_at, id) WHERE status <> 'closed'",
    """
    CREATE INDEX review_case_assignee_due_idx ON risk.review_case (assignee, due_at, id) WHERE status <> 'closed'
    """,
    "CREATE INDEX review_case_status_id_idx ON risk.review_case (status, id)",
    "CREATE INDEX review_case_closed_at_idx ON risk.review_case (closed_at)",
    """
    CREATE TABLE risk.case_entity (
        merchant_id VARCHAR COLLATE "C" NOT NULL,
        entity VARCHAR COLLATE "C" NOT NULL,
        case_id VARCHAR COLLATE "C" NOT NULL,
        CONSTRAINT case_entity_pkey PRIMARY KEY (merchant_id, entity)
    )
    """,
    "CREATE INDEX case_entity_case_id_idx ON risk.case_entity (case_id)",
    """
    CREATE TABLE risk.case_payment (
        assessment_id VARCHAR COLLATE "C" NOT NULL,
        case_id VARCHAR COLLATE "C" NOT NULL,
        payment_id VARCHAR COLLATE "C" NOT NULL,
        amount_minor BIGINT NOT NULL,
        currency VARCHAR(3) NOT NULL,
        added_at TIMESTAMP WITH TIME ZONE NOT NULL,
        payment_status VARCHAR COLLATE "C" DEFAULT 'unknown' NOT NULL,
        payment_version INTEGER DEFAULT 0 NOT NULL,
        is_manual BOOLEAN DEFAULT false NOT NULL,
        CONSTRAINT case_payment_pkey PRIMARY KEY (assessment_id),
        CONSTRAINT case_payment_payment_status_check
            CHECK (payment_status IN ('unknown', 'held', 'captured', 'given_up', 'expired', 'refused'))
    )
    """,
    "CREATE INDEX case_payment_payment_id_idx ON risk.case_payment (payment_id)",
    "CREATE INDEX case_payment_case_id_idx ON risk.case_payment (case_id, assessment_id)",
    """
    CREATE TABLE risk.case_act (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        case_id VARCHAR COLLATE "C" NOT NULL,
        at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        actor VARCHAR COLLATE "C" NOT NULL,
        kind VARCHAR COLLATE "C" NOT NULL,
        before JSONB NOT NULL,
        after JSONB NOT NULL,
        text VARCHAR,
        CONSTRAINT case_act_pkey PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX case_act_case_id_idx ON risk.case_act (case_id, id)",
    "REVOKE UPDATE, DELETE, TRUNCATE ON risk.case_act FROM risk_app",  # history is not edited
    "REVOKE DELETE, TRUNCATE ON risk.review_case, risk.case_payment FROM risk_app",
)


def upgrade() -> None:
    """Tables, then what the program must not be able to do to them."""
    for statement in STATEMENTS:
        op.execute(statement)
