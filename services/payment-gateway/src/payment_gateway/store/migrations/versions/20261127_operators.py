"""Operators of the platform among those who act.

Revision: 20261127_operators
Expand only: the version that runs now must work with the schema after this.
"""

from alembic import op

revision = "20261127_operators"
down_revision = "20261127_reviews2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """NOT VALID, then VALIDATE: no long lock on a table in use."""
    op.execute("ALTER TABLE payments.audit_entry DROP CONSTRAINT audit_entry_actor_check")
    op.execute("""
        ALTER TABLE payments.audit_entry ADD CONSTRAINT audit_entry_actor_check
        CHECK (actor IN ('administrator', 'api_key', 'operator', 'platform')) NOT VALID
    """)
    op.execute("ALTER TABLE payments.audit_entry VALIDATE CONSTRAINT audit_entry_actor_check")
