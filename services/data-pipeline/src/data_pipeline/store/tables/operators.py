"""People at the console: who they are, their sessions, and every attempt to log in."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Identity, Index, LargeBinary, Table

from data_pipeline.domain.operators import Role
from data_pipeline.store.tables.schema import NOW, Text, Time, metadata, one_of

operator = Table(
    "operator",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at", Time, nullable=False, server_default=NOW),
    Column("disabled_at", Time),
    one_of("role", Role),
)

# Only a hash of the id that the browser has. A row is deleted when it ends; who logged in stands in operator_login.
operator_session = Table(
    "operator_session",
    metadata,
    Column("id_hash", LargeBinary, primary_key=True),
    Column("operator", Text, ForeignKey(operator.c.name), nullable=False, index=True),
    Column("created_at", Time, nullable=False),
    Column("seen_at", Time, nullable=False),
)

# Append-only by grant: it says who came in, and it is what throttles guessing. `name` as typed, known or not.
operator_login = Table(
    "operator_login",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("succeeded", Boolean, nullable=False),
    Column("at", Time, nullable=False),
)
Index(None, operator_login.c.name, operator_login.c.at)
Index(None, operator_login.c.address, operator_login.c.at)
