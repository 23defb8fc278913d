"""What became known of payments."""

from sqlalchemy import CheckConstraint, Column, Index, Table

from risk_engine.domain.labels import LabelKind, LabelSource
from risk_engine.store.tables.schema import Id, Time, metadata, words

# What became known of a payment. The newest of a source counts; none is ever changed.
label = Table(
    "label",
    metadata,
    Column("id", Id, primary_key=True),
    Column("payment_id", Id, nullable=False),
    Column("assessment_id", Id),
    Column("kind", Id, nullable=False),
    Column("source", Id, nullable=False),
    Column("event_at", Time, nullable=False),
    Column("labelled_at", Time, nullable=False),  # when it became known: nobody may use it before
    Column("actor", Id, nullable=False),
    CheckConstraint(f"kind IN ({words(LabelKind)})", name="kind"),
    CheckConstraint(f"source IN ({words(LabelSource)})", name="source"),
)
Index("label_assessment_id_idx", label.c.assessment_id)
Index("label_payment_id_idx", label.c.payment_id, label.c.source, label.c.labelled_at, label.c.id)
