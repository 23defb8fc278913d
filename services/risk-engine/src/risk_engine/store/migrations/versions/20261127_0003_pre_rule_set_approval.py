"""pre: who saved, approved and published a rule set, and trials

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-27
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE risk.rule_set ADD COLUMN saved_by VARCHAR COLLATE \"C\" DEFAULT 'system:platform' NOT NULL",
    "ALTER TABLE risk.rule_set ADD CONSTRAINT rule_set_hash_saved_by_key UNIQUE (hash, saved_by)",
    """
    CREATE TABLE risk.rule_set_approval (
        rule_set VARCHAR COLLATE "C" NOT NULL,
        saved_by VARCHAR COLLATE "C" NOT NULL,
        approved_by VARCHAR COLLATE "C" NOT NULL,
        note VARCHAR,
        approved_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT rule_set_approval_pkey PRIMARY KEY (rule_set),
        CONSTRAINT rule_set_approval_second_person_check CHECK (approved_by <> saved_by),
        CONSTRAINT rule_set_approval_rule_set_saved_by_fkey FOREIGN KEY (rule_set, saved_by)
            REFERENCES risk.rule_set (hash, saved_by)
    )
    """,
    """
    ALTER TABLE risk.rule_set_publication
        ADD COLUMN act VARCHAR COLLATE "C" DEFAULT 'publish' NOT NULL,
        ADD COLUMN acted_by VARCHAR COLLATE "C" DEFAULT 'system:platform' NOT NULL,
        ADD COLUMN challenger VARCHAR COLLATE "C",
        ADD COLUMN challenger_share_bp SMALLINT,
        ADD CONSTRAINT rule_set_publication_challenger_fkey FOREIGN KEY (challenger) REFERENCES risk.rule_set (hash),
        ADD CONSTRAINT rule_set_publication_act_check CHECK (act IN ('publish', 'rollback', 'trial', 'end_trial')),
        ADD CONSTRAINT rule_set_publication_challenger_check CHECK (
            (challenger IS NULL) = (challenger_share_bp IS NULL) AND challenger_share_bp BETWEEN 0 AND 5000)
    """,
    "REVOKE UPDATE, DELETE, TRUNCATE ON risk.rule_set_approval FROM risk_app",
)


def upgrade() -> None:
    """Both tables hold a few rows: nothing here waits for long."""
    for statement in STATEMENTS:
        op.execute(statement)
