"""Indexes for looking into the ledger and the events: holds of an account, journals by label, events of an object.

Revision: 20261126_ledger2
Expand only: the version that runs now must work with the schema after this.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "20261126_ledger2"
down_revision = "20261126_admin"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():  # CONCURRENTLY: payments go on while a grown table is indexed
        for side in ("debit", "credit"):
            _create_index(f"hold_by_{side}_idx", "hold", [f"{side}_account_id", "id"])
        _create_index(
            "journal_by_label_idx",
            "journal",
            ["metadata"],
            postgresql_using="gin",
            postgresql_ops={"metadata": "jsonb_path_ops"},
            postgresql_where=sa.text("metadata <> '{}'"),
        )
        _create_index("event_by_aggregate_idx", "outbox_event", ["merchant_id", "aggregate_id", "position"])


def _create_index(name: str, table: str, columns: list[str], **options: Any) -> None:
    op.create_index(
        name,
        table,
        columns,
        schema="payments",
        if_not_exists=True,
        postgresql_concurrently=True,
        **options,
    )
