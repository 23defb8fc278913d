"""Appeals against decisions; how one stands is in its case."""

from sqlalchemy import CheckConstraint, Column, Index, String, Table, UniqueConstraint

from risk_engine.domain.appeals import Appellant
from risk_engine.store.tables.schema import Id, Time, metadata, words

appeal = Table(
    "appeal",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("assessment_id", Id, nullable=False),
    Column("payment_id", Id, nullable=False),
    Column("case_id", Id, nullable=False),
    Column("made_by", Id, nullable=False),
    Column("reason", String, nullable=False),
    Column("recorded_by", Id, nullable=False),  # a person of ours, or the service that passed it on
    Column("made_at", Time, nullable=False),
    UniqueConstraint("assessment_id"),  # the answer to an appeal is final
    UniqueConstraint("case_id"),
    CheckConstraint(f"made_by IN ({words(Appellant)})", name="made_by"),
)
Index("appeal_merchant_id_id_idx", appeal.c.merchant_id, appeal.c.id)
