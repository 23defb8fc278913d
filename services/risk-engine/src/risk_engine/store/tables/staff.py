"""Who may act."""

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Table

from risk_engine.domain.staff import Role
from risk_engine.store.tables.schema import NOW, Id, Time, metadata, words

# Names stand in the records of acts, so a name is one person's for as long as their token works.
staff = Table(
    "staff",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Id, nullable=False),
    Column("role", Id, nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", Time, nullable=False, server_default=NOW),
    Column("ended_at", Time),
    CheckConstraint(f"role IN ({words(Role)})", name="role"),
)
Index("staff_name_idx", staff.c.name, unique=True, postgresql_where=staff.c.ended_at.is_(None))
