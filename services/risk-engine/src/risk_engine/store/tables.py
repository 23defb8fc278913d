"""The schema `risk`. Assessments, rule sets and publications are append-only for the program: the migration takes
UPDATE and DELETE on them away from `risk_app`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
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

from platform_kit.db import metadata as schema_metadata
from platform_kit.inbox import cursor_table
from platform_kit.outbox import outbox_tables
from platform_kit.tasks import job_run_table
from risk_engine.domain.decision import Decision
from risk_engine.domain.staff import Role

SCHEMA = "risk"
metadata = schema_metadata(SCHEMA)

Id = String(collation="C")  # ASCII, compared by bytes: for ids that is also their order in time
Time = DateTime(timezone=True)
NOW = text("now()")
_DECISIONS = ", ".join(f"'{decision}'" for decision in Decision)
_ROLES = ", ".join(f"'{role}'" for role in Role)

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
    # {"reasons", "degraded", "hits", "errors", "skipped", "timings_us", on trial "other"}
    Column("outcome", JSONB, nullable=False),
    UniqueConstraint("merchant_id", "idempotency_key"),  # the same key is the same decision
    CheckConstraint(f"decision IN ({_DECISIONS})", name="decision"),
    CheckConstraint("score BETWEEN 0 AND 100", name="score"),
)
Index("assessment_decision_id_idx", assessment.c.decision, assessment.c.id)  # the list filtered by decision
Index("assessment_created_at_idx", assessment.c.created_at)  # alerts count the last minutes
Index(
    "assessment_to_explain_idx",
    assessment.c.id,
    postgresql_where=text("decision <> 'allow' AND model IS NOT NULL"),
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

rule_set = Table(
    "rule_set",
    metadata,
    Column("hash", Id, primary_key=True),
    Column("name", String, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("created_at", Time, nullable=False, server_default=NOW),
    Column("saved_by", Id, nullable=False, server_default=text("'platform'")),
    UniqueConstraint("hash", "saved_by"),  # for the approval to refer to: it must not be by the same person
    CheckConstraint("hash ~ '^[0-9a-f]{64}$'", name="hash"),
)

rule_set_approval = Table(
    "rule_set_approval",
    metadata,
    Column("rule_set", Id, primary_key=True),
    Column("saved_by", Id, nullable=False),
    Column("approved_by", Id, nullable=False),
    Column("note", String),
    Column("approved_at", Time, nullable=False, server_default=NOW),
    ForeignKeyConstraint(["rule_set", "saved_by"], ["risk.rule_set.hash", "risk.rule_set.saved_by"]),
    CheckConstraint("approved_by <> saved_by", name="second_person"),
)

# The newest row is the pointer to what decides; the older ones are its history. With a challenger it is a trial.
rule_set_publication = Table(
    "rule_set_publication",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("rule_set", Id, ForeignKey("risk.rule_set.hash"), nullable=False),
    Column("published_at", Time, nullable=False, server_default=NOW),
    Column("act", Id, nullable=False, server_default=text("'publish'")),
    Column("acted_by", Id, nullable=False, server_default=text("'platform'")),
    Column("challenger", Id, ForeignKey("risk.rule_set.hash")),
    Column(
        "challenger_share_bp", SmallInteger
    ),  # basis points of payments that it decides; 0 = in the shadow
    CheckConstraint("act IN ('publish', 'rollback', 'trial', 'end_trial')", name="act"),
    CheckConstraint(
        "(challenger IS NULL) = (challenger_share_bp IS NULL) AND challenger_share_bp BETWEEN 0 AND 5000",
        name="challenger",
    ),
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
    CheckConstraint("outcome IN ('captured', 'declined', 'failed')", name="outcome"),
)
Index("payment_outcome_occurred_at_idx", payment_outcome.c.occurred_at)

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
    CheckConstraint(f"role IN ({_ROLES})", name="role"),
)
Index("staff_name_idx", staff.c.name, unique=True, postgresql_where=staff.c.ended_at.is_(None))

alert = Table(
    "alert",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Id, nullable=False),
    Column("slot_at", Time, nullable=False),  # start of the minutes that it is about
    Column("details", JSONB, nullable=False),
    Column("raised_at", Time, nullable=False, server_default=NOW),
    UniqueConstraint("kind", "slot_at"),  # two schedulers raise one alert
)

quarantined_event = Table(
    "quarantined_event",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("envelope", JSONB, nullable=False),
    Column("error", String, nullable=False),
    Column("quarantined_at", Time, nullable=False, server_default=NOW),
)

outbox = outbox_tables(metadata)
consumer_cursor = cursor_table(metadata)
job_run = job_run_table(metadata)

APPEND_ONLY = ("assessment", "explanation", "rule_set", "rule_set_approval", "rule_set_publication")
