"""Cases: payments that a person is to look at."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    String,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from risk_engine.domain.case_effects import PaymentStatus
from risk_engine.domain.cases import CaseKind, CaseStatus, Verdict
from risk_engine.domain.reviews import Priority
from risk_engine.store.tables.schema import NOW, Id, Time, metadata, words

# A case gathers payments of one merchant that a person is to look at. What changes is here, its history in case_act.
review_case = Table(
    "review_case",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("status", Id, nullable=False),
    Column("priority", Id, nullable=False),
    Column("amount_reference_minor", BigInteger, nullable=False),
    Column("is_unsized", Boolean, nullable=False),
    Column("payment_count", Integer, nullable=False),
    Column("opened_at", Time, nullable=False),
    Column("due_at", Time, nullable=False),
    Column("assignee", Id),
    Column("locked_by", Id),
    Column("locked_until", Time),
    Column("proposed", Id),
    Column("proposed_by", Id),
    Column("verdict", Id),
    Column("closed_by", Id),
    Column("closed_at", Time),
    Column("kind", Id, nullable=False, server_default=text("'review'")),
    Column("barred", Id),
    CheckConstraint(f"kind IN ({words(CaseKind)})", name="kind"),
    CheckConstraint(f"status IN ({words(CaseStatus)})", name="status"),
    CheckConstraint(f"priority IN ({words(Priority)})", name="priority"),
    CheckConstraint(f"verdict IN ({words(Verdict)}) AND proposed IN ({words(Verdict)})", name="verdict"),
    CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name="closed"),
)
_UNCLOSED = review_case.c.status != text("'closed'")
Index("review_case_due_idx", review_case.c.due_at, review_case.c.id, postgresql_where=_UNCLOSED)  # the queue
Index(
    "review_case_assignee_due_idx",
    review_case.c.assignee,
    review_case.c.due_at,
    review_case.c.id,
    postgresql_where=_UNCLOSED,
)
Index("review_case_status_id_idx", review_case.c.status, review_case.c.id)  # closed ones, newest first
Index("review_case_closed_at_idx", review_case.c.closed_at)  # which entities may be forgotten

# The newest case of a payment, card or customer of a merchant, open or closed: where the next payment looks.
case_entity = Table(
    "case_entity",
    metadata,
    Column("merchant_id", Id, primary_key=True),
    Column("entity", Id, primary_key=True),  # payment:<id> | card:<fingerprint> | customer:<fingerprint>
    Column("case_id", Id, nullable=False, index=True),
)

case_payment = Table(
    "case_payment",
    metadata,
    Column("assessment_id", Id, primary_key=True),  # or the payment's id, where the gateway held it alone
    Column("case_id", Id, nullable=False),
    Column("payment_id", Id, nullable=False, index=True),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("added_at", Time, nullable=False),
    # from the gateway's events
    Column("payment_status", Id, nullable=False, server_default=text("'unknown'")),
    Column("payment_version", Integer, nullable=False, server_default=text("0")),
    Column("is_manual", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint(f"payment_status IN ({words(PaymentStatus)})", name="payment_status"),
)
Index("case_payment_case_id_idx", case_payment.c.case_id, case_payment.c.assessment_id)

case_act = Table(
    "case_act",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("case_id", Id, nullable=False),
    Column("at", Time, nullable=False, server_default=NOW),
    Column("actor", Id, nullable=False),
    Column("kind", Id, nullable=False),
    Column("before", JSONB, nullable=False),
    Column("after", JSONB, nullable=False),
    Column("text", String),
)
Index("case_act_case_id_idx", case_act.c.case_id, case_act.c.id)
