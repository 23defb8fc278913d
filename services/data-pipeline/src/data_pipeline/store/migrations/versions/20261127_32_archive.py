"""Which events are in the archive: a manifest of its files, and how far each stream is archived.

Revision: 20261127_32
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_32"
down_revision = "20261127_31"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE pipeline.archive_cursor (
            stream varchar COLLATE "C" CONSTRAINT archive_cursor_pkey PRIMARY KEY,
            position bigint NOT NULL,
            updated_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute(
        """
        CREATE TABLE pipeline.archive_file (
            path varchar COLLATE "C" CONSTRAINT archive_file_pkey PRIMARY KEY,
            stream varchar COLLATE "C" NOT NULL,
            day date NOT NULL,
            first_position bigint NOT NULL,
            last_position bigint NOT NULL,
            row_count bigint NOT NULL,
            byte_count bigint NOT NULL,
            sha256 varchar COLLATE "C" NOT NULL,
            archived_at timestamptz NOT NULL DEFAULT now(),
            replaced_at timestamptz,
            CONSTRAINT archive_file_rows_check CHECK (row_count > 0 AND first_position <= last_position)
        )
        """
    )
    op.execute(
        "CREATE INDEX archive_file_partition_idx ON pipeline.archive_file (stream, day, first_position)"
    )
    op.execute("ALTER TABLE pipeline.quarantine ADD COLUMN is_archived boolean NOT NULL DEFAULT false")
