"""Decisions, why, their hash chain, and what became of their payments."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from risk_engine.domain.acted_decisions import Difference
from risk_engine.domain.decision import Decision
from risk_engine.store.tables.schema import NOW, Id, Time, metadata, words

_DECISIONS = ", ".join(f"'{decision}'" for decision in Decision)

assessment = Table(
    "assessment",
    metadata,
    Column("id", Id, primary_key=True),
    Column("merchant_id", Id, nullable=False),
    Column("idempotency_key", Id, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("payment_id", Id, nullable=False),
    Column("decision", String, nullable=False),
    Column("score", SmallInteger, nullable=False),
    Column(
        "rule_set", Id, nullable=False
    ),  # no foreign key: a decision must not wait for another table's lock
    Column("model", Id),
    Column("occurred_at", Time, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("created_at", Time, nullable=False, server_default=NOW),
    Column("is_late", Boolean, nullable=False),  # stored after it was answered
    Column("request", JSONB, nullable=False),
    Column("facts", JSONB, nullable=False),
    # {"reasons", "degraded", "hits", "errors", "skipped", "timings_us", by a model "probability_ppm", on trial "other"}
    Column("outcome", JSONB, nullable=False),
    UniqueConstraint("merchant_id", "idempotency_key"),  # the same key is the same decision
    CheckConstraint(f"decision IN ({_DECISIONS})", name="decision"),
    CheckConstraint("score BETWEEN 0 AND 100", name="score"),
)
Index("assessment_decision_id_idx", assessment.c.decision, assessment.c.id)  # the list filtered by decision
Index(
    "assessment_listed_idx",
    text("(outcome -> 'lists')"),
    postgresql_using="gin",
    postgresql_where=text("outcome -> 'lists' IS NOT NULL"),
    _table=assessment,
)
Index("assessment_created_at_idx", assessment.c.created_at)  # alerts count the last minutes
Index(
    "assessment_to_explain_idx",
    assessment.c.id,
    postgresql_where=text("decision <> 'allow' AND model IS NOT NULL"),
)
Index(
    "assessment_unseen_idx",  # what was decided without Redis, which its windows are told of afterwards
    assessment.c.id,
    postgresql_where=text("outcome -> 'degraded' @> '[\"velocity\"]'"),
)

# What the model's features did to a score; made after the decision, from its facts.
explanation = Table(
    "explanation",
    metadata,
    Column("assessment_id", Id, primary_key=True),
    Column("model", Id, nullable=False),
    # [{"code", "feature", "value", "contribution"}], greatest contribution first
    Column("reasons", JSONB, nullable=False),
    Column("explained_at", Time, nullable=False, server_default=NOW),
)

# A link per assessment, in the order of commits: `position` is the number of the event stored with it.
assessment_chain = Table(
    "assessment_chain",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("assessment_id", Id, nullable=False, unique=True),
    Column("hash", LargeBinary, nullable=False),
    Column("chained_at", Time, nullable=False, server_default=NOW),
)

# What became of a payment, from the gateway's events. `seq` follows commit order: one consumer writes at a time.
payment_outcome = Table(
    "payment_outcome",
    metadata,
    Column("payment_id", Id, primary_key=True),
    Column("outcome", Id, primary_key=True),  # captured | declined | failed
    Column("seq", BigInteger, Identity(always=True), nullable=False, unique=True),
    Column("merchant_id", Id, nullable=False),
    Column("assessment_id", Id),  # null when the gateway decided alone
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column(
        "is_own_block", Boolean, nullable=False
    ),  # declined because this engine said so: no sign of a bad card
    Column("occurred_at", Time, nullable=False),
    Column("decision", Id),  # that the gateway acted upon
    Column("is_fallback", Boolean),  # it decided alone; null in rows of releases that did not ask
    Column("recorded_at", Time, server_default=text("clock_timestamp()")),
    CheckConstraint("outcome IN ('captured', 'declined', 'failed')", name="outcome"),
)
Index("payment_outcome_occurred_at_idx", payment_outcome.c.occurred_at)

# Where the decision that a payment's gateway acted upon is not the stored one.
decision_difference = Table(
    "decision_difference",
    metadata,
    Column("payment_id", Id, primary_key=True),
    Column("outcome", Id, primary_key=True),
    Column("kind", Id, nullable=False),
    Column("merchant_id", Id, nullable=False),
    Column("assessment_id", Id),
    Column("acted_on", Id),
    Column("stored", Id),
    Column("found_at", Time, nullable=False),
    CheckConstraint(f"kind IN ({words(Difference)})", name="kind"),
)
Index("decision_difference_found_at_idx", decision_difference.c.found_at)

# Which payments share a card, a customer, a device or an address; kept for a month.
payment_link = Table(
    "payment_link",
    metadata,
    Column("entity", Id, primary_key=True),  # <name>:<fingerprint>
    Column("occurred_at", Time, primary_key=True),
    Column("assessment_id", Id, primary_key=True),
)
Index(
    "payment_link_occurred_at_idx", payment_link.c.occurred_at, postgresql_using="brin"
)  # old ones are forgotten

quarantined_event = Table(
    "quarantined_event",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("envelope", JSONB, nullable=False),
    Column("error", String, nullable=False),
    Column("quarantined_at", Time, nullable=False, server_default=NOW),
)
