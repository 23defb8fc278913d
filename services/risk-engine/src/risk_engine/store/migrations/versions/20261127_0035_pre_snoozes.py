"""pre: rules that are snoozed for somebody

Revision ID: 0035
Revises: 0031
Create Date: 2026-11-27
"""

from alembic import op

revision = "0035"
down_revision = "0031"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SEQUENCE risk.rule_snooze_change_seq",
    """
    CREATE TABLE risk.rule_snooze (
        id VARCHAR COLLATE "C" NOT NULL,
        change BIGINT NOT NULL,
        rule VARCHAR COLLATE "C" NOT NULL,
        by_what VARCHAR COLLATE "C" NOT NULL,
        entity VARCHAR COLLATE "C" NOT NULL,
        assessment_id VARCHAR COLLATE "C" NOT NULL,
        until TIMESTAMP WITH TIME ZONE NOT NULL,
        reason VARCHAR NOT NULL,
        made_by VARCHAR COLLATE "C" NOT NULL,
        made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        ended_by VARCHAR COLLATE "C",
        ended_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT rule_snooze_pkey PRIMARY KEY (id),
        CONSTRAINT rule_snooze_change_key UNIQUE (change),
        CONSTRAINT rule_snooze_by_what_check CHECK (by_what IN ('card', 'customer', 'device', 'ip'))
    )
    """,
    "CREATE INDEX rule_snooze_until_idx ON risk.rule_snooze (until) WHERE ended_at IS NULL",
    "GRANT USAGE ON SEQUENCE risk.rule_snooze_change_seq TO risk_app",
    "REVOKE UPDATE, DELETE, TRUNCATE ON risk.rule_snooze FROM risk_app",
    "GRANT UPDATE (ended_by, ended_at, change) ON risk.rule_snooze TO risk_app",
)


def upgrade() -> None:
    """A snooze is ended, never edited: who let whom pass a rule stays on record."""
    for statement in STATEMENTS:
        op.execute(statement)
