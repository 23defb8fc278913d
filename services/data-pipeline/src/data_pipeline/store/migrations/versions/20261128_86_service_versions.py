"""Which version each service answered as, from when on.

Revision: 20261128_86
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261128_86"
down_revision = "20261128_85"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE pipeline.service_version (
            service varchar COLLATE "C" NOT NULL,
            seen_at timestamptz NOT NULL,
            version varchar NOT NULL,
            CONSTRAINT service_version_pkey PRIMARY KEY (service, seen_at)
        )
        """
    )
