"""pre: the schema of the risk engine

Revision ID: 0001
Revises: none
Create Date: 2026-11-23
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE risk.alert (
    id VARCHAR COLLATE "C" NOT NULL,
    kind VARCHAR COLLATE "C" NOT NULL,
    slot_at TIMESTAMP WITH TIME ZONE NOT NULL,
    details JSONB NOT NULL,
    raised_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT alert_pkey PRIMARY KEY (id),
    CONSTRAINT alert_kind_slot_at_key UNIQUE (kind, slot_at)
);

CREATE TABLE risk.assessment (
    id VARCHAR COLLATE "C" NOT NULL,
    merchant_id VARCHAR COLLATE "C" NOT NULL,
    idempotency_key VARCHAR COLLATE "C" NOT NULL,
    fingerprint BYTEA NOT NULL,
    payment_id VARCHAR COLLATE "C" NOT NULL,
    decision VARCHAR NOT NULL,
    score SMALLINT NOT NULL,
    rule_set VARCHAR COLLATE "C" NOT NULL,
    model VARCHAR COLLATE "C",
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    is_late BOOLEAN NOT NULL,
    request JSONB NOT NULL,
    facts JSONB NOT NULL,
    outcome JSONB NOT NULL,
    CONSTRAINT assessment_pkey PRIMARY KEY (id),
    CONSTRAINT assessment_merchant_id_idempotency_key_key UNIQUE (merchant_id, idempotency_key),
    CONSTRAINT assessment_decision_check CHECK (decision IN ('allow', 'review', 'challenge', 'block')),
    CONSTRAINT assessment_score_check CHECK (score BETWEEN 0 AND 100)
);

CREATE INDEX assessment_created_at_idx ON risk.assessment (created_at);

CREATE INDEX assessment_decision_id_idx ON risk.assessment (decision, id);

CREATE TABLE risk.consumer_cursor (
    consumer TEXT COLLATE "C" NOT NULL,
    stream TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT consumer_cursor_pkey PRIMARY KEY (consumer, stream),
    CONSTRAINT consumer_cursor_position_check CHECK (position >= 0)
);

COMMENT ON COLUMN risk.consumer_cursor.position IS 'highest contiguous position applied';

CREATE TABLE risk.job_run (
    job TEXT COLLATE "C" NOT NULL,
    slot TIMESTAMP WITH TIME ZONE NOT NULL,
    claimed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    attempts INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT job_run_pkey PRIMARY KEY (job, slot)
);

COMMENT ON COLUMN risk.job_run.slot IS 'start of the slot, database time';

CREATE TABLE risk.outbox_event (
    id TEXT COLLATE "C" NOT NULL,
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    type TEXT COLLATE "C" NOT NULL,
    aggregate_id TEXT COLLATE "C" NOT NULL,
    merchant_id TEXT COLLATE "C",
    data JSONB NOT NULL,
    traceparent TEXT COLLATE "C",
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    position BIGINT,
    CONSTRAINT outbox_event_pkey PRIMARY KEY (id),
    CONSTRAINT outbox_event_position_key UNIQUE (position)
);

CREATE INDEX outbox_event_unpositioned_idx ON risk.outbox_event (seq) WHERE position IS NULL;

COMMENT ON COLUMN risk.outbox_event.seq IS 'order of insertion';

COMMENT ON COLUMN risk.outbox_event.position IS 'dense, in commit order; null until numbered';

CREATE TABLE risk.outbox_head (
    id SMALLINT DEFAULT 1 NOT NULL,
    last_position BIGINT DEFAULT 0 NOT NULL,
    published_position BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT outbox_head_pkey PRIMARY KEY (id),
    CONSTRAINT outbox_head_one_row_check CHECK (id = 1),
    CONSTRAINT outbox_head_published_check CHECK (published_position <= last_position)
);

CREATE TABLE risk.payment_outcome (
    payment_id VARCHAR COLLATE "C" NOT NULL,
    outcome VARCHAR COLLATE "C" NOT NULL,
    seq BIGINT GENERATED ALWAYS AS IDENTITY,
    merchant_id VARCHAR COLLATE "C" NOT NULL,
    assessment_id VARCHAR COLLATE "C",
    amount_minor BIGINT NOT NULL,
    currency VARCHAR(3) NOT NULL,
    is_own_block BOOLEAN NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT payment_outcome_pkey PRIMARY KEY (payment_id, outcome),
    CONSTRAINT payment_outcome_outcome_check CHECK (outcome IN ('captured', 'declined', 'failed')),
    CONSTRAINT payment_outcome_seq_key UNIQUE (seq)
);

CREATE INDEX payment_outcome_occurred_at_idx ON risk.payment_outcome (occurred_at);

CREATE TABLE risk.quarantined_event (
    event_id VARCHAR COLLATE "C" NOT NULL,
    envelope JSONB NOT NULL,
    error VARCHAR NOT NULL,
    quarantined_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT quarantined_event_pkey PRIMARY KEY (event_id)
);

CREATE TABLE risk.rule_set (
    hash VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR NOT NULL,
    document JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT rule_set_pkey PRIMARY KEY (hash),
    CONSTRAINT rule_set_hash_check CHECK (hash ~ '^[0-9a-f]{64}$')
);

CREATE TABLE risk.rule_set_publication (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    rule_set VARCHAR COLLATE "C" NOT NULL,
    published_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT rule_set_publication_pkey PRIMARY KEY (id),
    CONSTRAINT rule_set_publication_rule_set_fkey FOREIGN KEY(rule_set) REFERENCES risk.rule_set (hash)
)
"""

# The program may add to these and read them, nothing else: a decision is never edited.
APPEND_ONLY = ("assessment", "rule_set", "rule_set_publication")


def upgrade() -> None:
    """Create the tables, then take from the program what it must not be able to do."""
    for statement in TABLES.split(";\n\n"):
        op.execute(statement)
    for table in APPEND_ONLY:
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON risk.{table} FROM risk_app")
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON risk.outbox_event FROM risk_app")
    op.execute("GRANT UPDATE (position) ON risk.outbox_event TO risk_app")
    op.execute("REVOKE DELETE, TRUNCATE ON risk.outbox_head FROM risk_app")
