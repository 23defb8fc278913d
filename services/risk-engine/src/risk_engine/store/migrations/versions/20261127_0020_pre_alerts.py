"""pre: alerts have a life, acts and deliveries; decisions are counted by the minute

Revision ID: 0020
Revises: 0012
Create Date: 2026-11-27
"""

from alembic import op

revision = "0020"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE risk.alert
    ADD COLUMN scope VARCHAR COLLATE "C" DEFAULT '' NOT NULL,
    ADD COLUMN severity VARCHAR DEFAULT 'warning' NOT NULL,
    ADD COLUMN status VARCHAR DEFAULT 'resolved' NOT NULL,
    ADD COLUMN summary VARCHAR DEFAULT '' NOT NULL,
    ADD COLUMN level SMALLINT DEFAULT 0 NOT NULL,
    ADD COLUMN occurrences BIGINT DEFAULT 1 NOT NULL,
    ADD COLUMN firing_since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ADD COLUMN last_seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    ADD COLUMN acknowledged_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN acknowledged_by VARCHAR,
    ADD COLUMN resolved_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN resolved_by VARCHAR,
    ADD CONSTRAINT alert_severity_check CHECK (severity IN ('info', 'warning', 'critical')),
    ADD CONSTRAINT alert_status_check CHECK (status IN ('firing', 'acknowledged', 'resolved'));

CREATE UNIQUE INDEX alert_open_idx ON risk.alert (kind, scope) WHERE status != 'resolved';

CREATE INDEX alert_status_id_idx ON risk.alert (status, id);

CREATE TABLE risk.alert_act (
    id VARCHAR COLLATE "C" NOT NULL,
    alert_id VARCHAR COLLATE "C" NOT NULL,
    act VARCHAR NOT NULL,
    actor VARCHAR NOT NULL,
    note VARCHAR,
    level SMALLINT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT alert_act_pkey PRIMARY KEY (id),
    CONSTRAINT alert_act_act_check CHECK (act IN ('raised', 'reopened', 'escalated', 'acknowledged', 'resolved'))
);

CREATE INDEX alert_act_alert_id_idx ON risk.alert_act (alert_id, id);

CREATE TABLE risk.alert_delivery (
    id VARCHAR COLLATE "C" NOT NULL,
    act_id VARCHAR COLLATE "C" NOT NULL,
    alert_id VARCHAR COLLATE "C",
    channel VARCHAR COLLATE "C" NOT NULL,
    message JSONB NOT NULL,
    status VARCHAR DEFAULT 'due' NOT NULL,
    attempts SMALLINT DEFAULT 0 NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_error VARCHAR,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    settled_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT alert_delivery_pkey PRIMARY KEY (id),
    CONSTRAINT alert_delivery_act_id_channel_key UNIQUE (act_id, channel),
    CONSTRAINT alert_delivery_status_check CHECK (status IN ('due', 'delivered', 'given_up'))
);

CREATE INDEX alert_delivery_due_idx ON risk.alert_delivery (channel, due_at) WHERE status = 'due';

CREATE INDEX alert_delivery_alert_id_idx ON risk.alert_delivery (alert_id);

CREATE TABLE risk.decision_minute (
    minute TIMESTAMP WITH TIME ZONE NOT NULL,
    decisions JSONB NOT NULL,
    bad BIGINT NOT NULL,
    faults JSONB NOT NULL,
    ahead_ms BIGINT NOT NULL,
    behind_ms BIGINT NOT NULL,
    CONSTRAINT decision_minute_pkey PRIMARY KEY (minute)
)
"""


def upgrade() -> None:
    """Expand; what somebody did to an alert is never edited."""
    for statement in STATEMENTS.split(";\n\n"):
        op.execute(statement)
    op.execute("REVOKE UPDATE, DELETE, TRUNCATE ON risk.alert_act FROM risk_app")
