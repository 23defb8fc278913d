"""The tables of the vault. There is no column for a security code, and no foreign key out of this schema."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, DateTime, Index, LargeBinary, String, Table, text

from platform_kit.db import metadata as schema_metadata

SCHEMA = "vault"
metadata = schema_metadata(SCHEMA)

card = Table(
    "card",
    metadata,
    Column("id", String(collation="C"), primary_key=True),
    Column("kek_id", String(collation="C"), nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("fingerprint", String(collation="C"), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("rewrapped_at", DateTime(timezone=True)),
    CheckConstraint("id ~ '^card_[0-9a-z]{26}$'", name="id_is_a_token"),
    # A nonce of 12 bytes, a key of 32 and a tag of 16: whatever else is there is no wrapped key.
    CheckConstraint("octet_length(wrapped_key) = 60", name="wrapped_key_is_sealed"),
    CheckConstraint("octet_length(ciphertext) > 28", name="ciphertext_is_sealed"),
    Index("card_by_kek_idx", "kek_id", "id"),
)

# Somebody whom a merchant told us about, and the key under which all of it is sealed. Erasing them takes the key away.
subject = Table(
    "subject",
    metadata,
    Column("id", String(collation="C"), primary_key=True),
    Column("merchant_id", String(collation="C"), nullable=False),
    Column("reference", String(collation="C"), comment="keyed fingerprint of the merchant's own id of them"),
    Column("kek_id", String(collation="C")),
    Column("wrapped_key", LargeBinary),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("rewrapped_at", DateTime(timezone=True)),
    Column("closed_at", DateTime(timezone=True), comment="nothing new is sealed under it"),
    Column("erased_at", DateTime(timezone=True)),
    CheckConstraint("id ~ '^sub_[0-9a-z]{26}$'", name="id_is_a_token"),
    CheckConstraint("octet_length(wrapped_key) = 60", name="wrapped_key_is_sealed"),
    CheckConstraint(
        "(erased_at IS NULL) = (wrapped_key IS NOT NULL) AND (erased_at IS NULL) = (kek_id IS NOT NULL)"
        " AND (erased_at IS NULL) = (reference IS NOT NULL) AND (erased_at IS NULL OR closed_at IS NOT NULL)",
        name="erased_has_no_key",
    ),
    Index("subject_open_key", "reference", unique=True, postgresql_where=text("closed_at IS NULL")),
    Index("subject_by_reference_idx", "reference", postgresql_where=text("reference IS NOT NULL")),
    Index("subject_by_kek_idx", "kek_id", "id", postgresql_where=text("kek_id IS NOT NULL")),
)
