"""pre: lists and their entries

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-27
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE risk.list (
        name VARCHAR COLLATE "C" NOT NULL,
        type VARCHAR COLLATE "C" NOT NULL,
        note VARCHAR,
        made_by VARCHAR COLLATE "C" NOT NULL,
        made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT list_pkey PRIMARY KEY (name),
        CONSTRAINT list_type_check CHECK (
            type IN ('card', 'customer', 'email', 'ip', 'device', 'bin', 'country', 'merchant'))
    )
    """,
    "CREATE SEQUENCE risk.list_entry_change_seq",
    """
    CREATE TABLE risk.list_entry (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        list VARCHAR COLLATE "C" NOT NULL,
        entity VARCHAR COLLATE "C" NOT NULL,
        value VARCHAR NOT NULL,
        reason VARCHAR NOT NULL,
        added_by VARCHAR COLLATE "C" NOT NULL,
        added_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE,
        removed_by VARCHAR COLLATE "C",
        removed_at TIMESTAMP WITH TIME ZONE,
        change BIGINT DEFAULT nextval('risk.list_entry_change_seq') NOT NULL,
        CONSTRAINT list_entry_pkey PRIMARY KEY (id),
        CONSTRAINT list_entry_change_key UNIQUE (change),
        CONSTRAINT list_entry_removed_check CHECK ((removed_by IS NULL) = (removed_at IS NULL)),
        CONSTRAINT list_entry_list_fkey FOREIGN KEY (list) REFERENCES risk.list (name)
    )
    """,
    "CREATE UNIQUE INDEX list_entry_current_idx ON risk.list_entry (list, entity) WHERE removed_at IS NULL",
    "CREATE INDEX list_entry_list_id_idx ON risk.list_entry (list, id)",
    "GRANT USAGE ON SEQUENCE risk.list_entry_change_seq TO risk_app",
    "REVOKE UPDATE, TRUNCATE ON risk.list_entry FROM risk_app",
    "GRANT UPDATE (removed_by, removed_at, change) ON risk.list_entry TO risk_app",
)


def upgrade() -> None:
    """Two tables; the index over assessments is the next revision's."""
    for statement in STATEMENTS:
        op.execute(statement)
