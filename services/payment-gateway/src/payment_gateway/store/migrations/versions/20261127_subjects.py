"""Personal data sealed under its subject's key, and the requests to erase a subject.

Revision: 20261127_subjects
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_subjects"
down_revision = "20261127_operators"
branch_labels = None
depends_on = None

_MERCHANT = "current_setting('platform.merchant_id', true)"

STATEMENTS = (
    'ALTER TABLE payments.customer ADD COLUMN personal JSONB, ADD COLUMN email_hash VARCHAR COLLATE "C"',
    """
    CREATE TABLE payments.erasure (
        id VARCHAR COLLATE "C" NOT NULL,
        merchant_id VARCHAR COLLATE "C" NOT NULL,
        status VARCHAR NOT NULL,
        subjects JSONB NOT NULL,
        blocked_by JSONB NOT NULL,
        sought JSONB,
        report JSONB,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        due_at TIMESTAMP WITH TIME ZONE NOT NULL,
        erased_at TIMESTAMP WITH TIME ZONE,
        reported_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT erasure_pkey PRIMARY KEY (id),
        CONSTRAINT erasure_merchant_id_fkey FOREIGN KEY (merchant_id) REFERENCES payments.merchant (id),
        CONSTRAINT erasure_status_check CHECK (status IN ('waiting', 'blocked', 'erased')),
        CONSTRAINT erasure_erased_has_a_time_check CHECK ((status = 'erased') = (erased_at IS NOT NULL)),
        CONSTRAINT erasure_reported_once_erased_check CHECK (
            (report IS NULL) = (reported_at IS NULL) AND (report IS NULL OR erased_at IS NOT NULL))
    )
    """,
    "COMMENT ON COLUMN payments.erasure.sought IS 'what a scan seeks, under a key that dies with the report'",
    "CREATE INDEX erasure_by_merchant_idx ON payments.erasure (merchant_id, id)",
    "CREATE INDEX erasure_due_idx ON payments.erasure (due_at) WHERE status <> 'erased'",
    "REVOKE DELETE, TRUNCATE ON payments.erasure FROM payments_app",
    "ALTER TABLE payments.erasure ENABLE ROW LEVEL SECURITY",
    "GRANT SELECT ON payments.erasure TO payments_tenant",
    "CREATE POLICY all_rows ON payments.erasure TO payments_app USING (true) WITH CHECK (true)",
    f"CREATE POLICY own_rows ON payments.erasure FOR SELECT TO payments_tenant USING (merchant_id = {_MERCHANT})",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
