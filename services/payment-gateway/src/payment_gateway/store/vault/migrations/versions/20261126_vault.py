"""The vault's first schema: sealed cards.

Revision: 20261126_vault
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261126_vault"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "card",
        sa.Column("id", sa.String(collation="C"), nullable=False),
        sa.Column("kek_id", sa.String(collation="C"), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.String(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("rewrapped_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("id ~ '^card_[0-9a-z]{26}$'", name=op.f("card_id_is_a_token_check")),
        sa.CheckConstraint("octet_length(wrapped_key) = 60", name=op.f("card_wrapped_key_is_sealed_check")),
        sa.CheckConstraint("octet_length(ciphertext) > 28", name=op.f("card_ciphertext_is_sealed_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("card_pkey")),
        schema="vault",
    )
    op.create_index("card_by_kek_idx", "card", ["kek_id", "id"], schema="vault")
    # A card never changes: only the key around its data key does. Forgetting one is allowed.
    op.execute("REVOKE UPDATE ON vault.card FROM vault_app")
    op.execute("GRANT UPDATE (kek_id, wrapped_key, rewrapped_at) ON vault.card TO vault_app")
