"""Lists that rules read."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Identity, Index, String, Table, text

from risk_engine.domain.lists import ListType
from risk_engine.store.tables.schema import NOW, Id, Time, metadata, words

list_ = Table(
    "list",
    metadata,
    Column("name", Id, primary_key=True),
    Column("type", Id, nullable=False),
    Column("note", String),
    Column("made_by", Id, nullable=False),
    Column("made_at", Time, nullable=False, server_default=NOW),
    CheckConstraint(f"type IN ({words(ListType)})", name="type"),
)

# `change` numbers what was brought on or taken off, in the order of commits: processes follow it.
list_entry = Table(
    "list_entry",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("list", Id, ForeignKey("risk.list.name"), nullable=False),
    Column(
        "entity", Id, nullable=False
    ),  # as payments are compared with it: a fingerprint, or what names nobody
    Column("value", String, nullable=False),  # as a person wrote it
    Column("reason", String, nullable=False),
    Column("added_by", Id, nullable=False),
    Column("added_at", Time, nullable=False, server_default=NOW),
    Column("expires_at", Time),
    Column("removed_by", Id),
    Column("removed_at", Time),
    Column(
        "change",
        BigInteger,
        nullable=False,
        unique=True,
        server_default=text("nextval('risk.list_entry_change_seq')"),
    ),
    CheckConstraint("(removed_by IS NULL) = (removed_at IS NULL)", name="removed"),
)
Index(
    "list_entry_current_idx",
    list_entry.c.list,
    list_entry.c.entity,
    unique=True,
    postgresql_where=list_entry.c.removed_at.is_(None),
)
Index("list_entry_list_id_idx", list_entry.c.list, list_entry.c.id)
