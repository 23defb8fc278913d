"""Let the indexes by which entries are found by time and position summarize new pages by themselves.

Revision: 20261127_82
Without it the newest pages, which are asked for most, are read whole until the next vacuum. Expand only.
"""

from alembic import op

revision = "20261127_82"
down_revision = "20261127_71"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("position", "time"):
        op.execute(f"ALTER INDEX pipeline.fact_transfer_{name}_idx SET (autosummarize = on)")
