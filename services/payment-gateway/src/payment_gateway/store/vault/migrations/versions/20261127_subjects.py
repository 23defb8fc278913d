"""Subjects: a key for each person whom a merchant told us about.

Revision: 20261127_subjects
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_subjects"
down_revision = "20261126_vault"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE vault.subject (
        id VARCHAR COLLATE "C" NOT NULL,
        merchant_id VARCHAR COLLATE "C" NOT NULL,
        reference VARCHAR COLLATE "C",
        kek_id VARCHAR COLLATE "C",
        wrapped_key BYTEA,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        rewrapped_at TIMESTAMP WITH TIME ZONE,
        closed_at TIMESTAMP WITH TIME ZONE,
        erased_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT subject_pkey PRIMARY KEY (id),
        CONSTRAINT subject_id_is_a_token_check CHECK (id ~ '^sub_[0-9a-z]{26}$'),
        CONSTRAINT subject_wrapped_key_is_sealed_check CHECK (octet_length(wrapped_key) = 60),
        CONSTRAINT subject_erased_has_no_key_check CHECK (
            (erased_at IS NULL) = (wrapped_key IS NOT NULL) AND (erased_at IS NULL) = (kek_id IS NOT NULL)
            AND (erased_at IS NULL) = (reference IS NOT NULL) AND (erased_at IS NULL OR closed_at IS NOT NULL))
    )
    """,
    "COMMENT ON COLUMN vault.subject.reference IS 'keyed fingerprint of the merchant''s own id of them'",
    "COMMENT ON COLUMN vault.subject.closed_at IS 'nothing new is sealed under it'",
    "CREATE UNIQUE INDEX subject_open_key ON vault.subject (reference) WHERE closed_at IS NULL",
    "CREATE INDEX subject_by_reference_idx ON vault.subject (reference) WHERE reference IS NOT NULL",
    "CREATE INDEX subject_by_kek_idx ON vault.subject (kek_id, id) WHERE kek_id IS NOT NULL",
    # A subject is never deleted and never given another key: its token stands in history for good.
    "REVOKE UPDATE, DELETE, TRUNCATE ON vault.subject FROM vault_app",
    "GRANT UPDATE (reference, kek_id, wrapped_key, rewrapped_at, closed_at, erased_at) ON vault.subject TO vault_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
