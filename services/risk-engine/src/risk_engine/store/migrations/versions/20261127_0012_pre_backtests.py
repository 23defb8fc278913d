"""pre: backtests

Revision ID: 0012
Revises: 0011
Create Date: 2026-11-27
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE risk.backtest (
        id VARCHAR COLLATE "C" NOT NULL,
        rule_set VARCHAR COLLATE "C" NOT NULL,
        since TIMESTAMP WITH TIME ZONE NOT NULL,
        until TIMESTAMP WITH TIME ZONE NOT NULL,
        asked_by VARCHAR COLLATE "C" NOT NULL,
        asked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        status VARCHAR COLLATE "C" DEFAULT 'queued' NOT NULL,
        progressed_at TIMESTAMP WITH TIME ZONE,
        done BIGINT DEFAULT 0 NOT NULL,
        total BIGINT,
        report JSONB,
        failure VARCHAR,
        finished_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT backtest_pkey PRIMARY KEY (id),
        CONSTRAINT backtest_status_check CHECK (status IN ('queued', 'running', 'done', 'failed')),
        CONSTRAINT backtest_report_check CHECK ((status = 'done') = (report IS NOT NULL)),
        CONSTRAINT backtest_rule_set_fkey FOREIGN KEY (rule_set) REFERENCES risk.rule_set (hash)
    )
    """,
    "CREATE INDEX backtest_rule_set_id_idx ON risk.backtest (rule_set, id)",
    "REVOKE UPDATE, DELETE, TRUNCATE ON risk.backtest FROM risk_app",
    "GRANT UPDATE (status, progressed_at, done, total, report, failure, finished_at) ON risk.backtest TO risk_app",
)


def upgrade() -> None:
    """A new table."""
    for statement in STATEMENTS:
        op.execute(statement)
