"""The schema `risk`. Assessments, rule sets, publications and the acts on alerts are append-only for the program: the
migrations take UPDATE and DELETE on them away from `risk_app`."""

from enum import StrEnum

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
    Integer,
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
from risk_engine.domain.cases import CaseStatus, PaymentStatus, Priority, Verdict
from risk_engine.domain.decision import Decision
from risk_engine.domain.labels import LabelKind, LabelSource
from risk_engine.domain.lists import ListType
from risk_engine.domain.snoozes import SnoozedBy
from risk_engine.domain.staff import Role

SCHEMA = "risk"
metadata = schema_metadata(SCHEMA)

Id = String(collation="C")  # ASCII, compared by bytes: for ids that is also their order in time
Time = DateTime(timezone=True)
NOW = text("now()")
_DECISIONS = ", ".join(f"'{decision}'" for decision in Decision)


def _words(words: type[StrEnum]) -> str:
    """The members of an enum, as a list in SQL."""
    return ", ".join(f"'{word}'" for word in words)


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

rule_set = Table(
    "rule_set",
    metadata,
    Column("hash", Id, primary_key=True),
    Column("name", String, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("created_at", Time, nullable=False, server_default=NOW),
    Column("saved_by", Id, nullable=False, server_default=text("'system:platform'")),
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
    Column("acted_by", Id, nullable=False, server_default=text("'system:platform'")),
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

backtest = Table(
    "backtest",
    metadata,
    Column("id", Id, primary_key=True),
    Column("rule_set", Id, ForeignKey("risk.rule_set.hash"), nullable=False),
    Column("since", Time, nullable=False),
    Column("until", Time, nullable=False),
    Column("asked_by", Id, nullable=False),
    Column("asked_at", Time, nullable=False, server_default=NOW),
    Column("status", Id, nullable=False, server_default=text("'queued'")),
    Column("progressed_at", Time),
    Column("done", BigInteger, nullable=False, server_default=text("0")),
    Column("total", BigInteger),
    Column("report", JSONB),
    Column("failure", String),
    Column("finished_at", Time),
    CheckConstraint("status IN ('queued', 'running', 'done', 'failed')", name="status"),
    CheckConstraint("(status = 'done') = (report IS NOT NULL)", name="report"),
)
Index("backtest_rule_set_id_idx", backtest.c.rule_set, backtest.c.id)

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

list_ = Table(
    "list",
    metadata,
    Column("name", Id, primary_key=True),
    Column("type", Id, nullable=False),
    Column("note", String),
    Column("made_by", Id, nullable=False),
    Column("made_at", Time, nullable=False, server_default=NOW),
    CheckConstraint(f"type IN ({_words(ListType)})", name="type"),
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
    CheckConstraint(f"role IN ({_words(Role)})", name="role"),
)
Index("staff_name_idx", staff.c.name, unique=True, postgresql_where=staff.c.ended_at.is_(None))

alert = Table(
    "alert",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Id, nullable=False),
    # Only the release before reads it, and keeps it unique per kind: now it is the moment of insertion.
    Column("slot_at", Time, nullable=False),
    Column("details", JSONB, nullable=False),  # {"share", "baseline", "decisions", "measures"}
    Column("raised_at", Time, nullable=False, server_default=NOW),
    Column("scope", Id, nullable=False, server_default=text("''")),  # with `kind`: the fingerprint
    Column("severity", String, nullable=False, server_default=text("'warning'")),
    # What the release before stores is told and not followed.
    Column("status", String, nullable=False, server_default=text("'resolved'")),
    Column("summary", String, nullable=False, server_default=text("''")),
    Column("level", SmallInteger, nullable=False, server_default=text("0")),  # of escalation
    Column("occurrences", BigInteger, nullable=False, server_default=text("1")),  # looks that saw it
    Column("firing_since", Time, nullable=False, server_default=NOW),
    Column("last_seen_at", Time, nullable=False, server_default=NOW),
    Column("acknowledged_at", Time),
    Column("acknowledged_by", String),
    Column("resolved_at", Time),
    Column("resolved_by", String),
    UniqueConstraint("kind", "slot_at"),
    CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity"),
    CheckConstraint("status IN ('firing', 'acknowledged', 'resolved')", name="status"),
)
# One open alert per trouble, whatever runs twice.
Index(
    "alert_open_idx", alert.c.kind, alert.c.scope, unique=True, postgresql_where=alert.c.status != "resolved"
)
Index("alert_status_id_idx", alert.c.status, alert.c.id)

# Who did what to an alert, the engine among them. It outlives the alert: no foreign key.
alert_act = Table(
    "alert_act",
    metadata,
    Column("id", Id, primary_key=True),
    Column("alert_id", Id, nullable=False),
    Column("act", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("note", String),
    Column("level", SmallInteger, nullable=False),
    Column("at", Time, nullable=False),
    CheckConstraint("act IN ('raised', 'reopened', 'escalated', 'acknowledged', 'resolved')", name="act"),
)
Index("alert_act_alert_id_idx", alert_act.c.alert_id, alert_act.c.id)

# What a channel is to be told, whole: every attempt sends the same.
alert_delivery = Table(
    "alert_delivery",
    metadata,
    Column("id", Id, primary_key=True),
    Column("act_id", Id, nullable=False),  # its own id for a trial of the channel
    Column("alert_id", Id),
    Column("channel", Id, nullable=False),
    Column("message", JSONB, nullable=False),
    Column("status", String, nullable=False, server_default=text("'due'")),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
    Column("due_at", Time, nullable=False, server_default=NOW),
    Column("last_error", String),  # a word of ours, never the receiver's or an address
    Column("created_at", Time, nullable=False, server_default=NOW),
    Column("settled_at", Time),
    UniqueConstraint("act_id", "channel"),
    CheckConstraint("status IN ('due', 'delivered', 'given_up')", name="status"),
)
Index(
    "alert_delivery_due_idx",
    alert_delivery.c.channel,
    alert_delivery.c.due_at,
    postgresql_where=alert_delivery.c.status == "due",
)
Index("alert_delivery_alert_id_idx", alert_delivery.c.alert_id)

# Decisions by the minute, so that a look at six hours reads 360 rows. Rolled up by `created_at`, the database's time.
decision_minute = Table(
    "decision_minute",
    metadata,
    Column("minute", Time, primary_key=True),
    Column("decisions", JSONB, nullable=False),  # {"allow": 12, …}
    Column("bad", BigInteger, nullable=False),  # late or degraded
    Column("faults", JSONB, nullable=False),  # {"velocity": 3, …}
    Column(
        "ahead_ms", BigInteger, nullable=False
    ),  # of the deciding processes' clocks, at most; may be negative
    Column("behind_ms", BigInteger, nullable=False),  # the least of the same
)

# What a model saw when somebody said that it was as it should be.
drift_reference = Table(
    "drift_reference",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("model", Id, nullable=False),
    Column("samples", JSONB, nullable=False),  # {"amount_ratio_1d": [1.0, …], …, "score": […]}
    Column("pinned_by", String, nullable=False),
    Column("pinned_at", Time, nullable=False, server_default=NOW),
)
Index("drift_reference_model_id_idx", drift_reference.c.model, drift_reference.c.id)

# How far the watcher of the chain has recomputed it, and the head that it saw last. One row, made by the migration.
chain_watch = Table(
    "chain_watch",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("checked_to", BigInteger, nullable=False, server_default=text("0")),
    Column("swept_at", Time),  # the last time that all of it had been recomputed
    Column("head_position", BigInteger, nullable=False, server_default=text("0")),
    Column("head_hash", LargeBinary),
    Column("broken_at", BigInteger),  # the first break that is not mended
    CheckConstraint("one", name="one"),
)

quarantined_event = Table(
    "quarantined_event",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("envelope", JSONB, nullable=False),
    Column("error", String, nullable=False),
    Column("quarantined_at", Time, nullable=False, server_default=NOW),
)

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
    CheckConstraint(f"status IN ({_words(CaseStatus)})", name="status"),
    CheckConstraint(f"priority IN ({_words(Priority)})", name="priority"),
    CheckConstraint(f"verdict IN ({_words(Verdict)}) AND proposed IN ({_words(Verdict)})", name="verdict"),
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

# The newest case of a card or customer of a merchant, open or closed: where the next payment looks.
case_entity = Table(
    "case_entity",
    metadata,
    Column("merchant_id", Id, primary_key=True),
    Column("entity", Id, primary_key=True),  # card:<fingerprint> | customer:<fingerprint>
    Column("case_id", Id, nullable=False, index=True),
)

case_payment = Table(
    "case_payment",
    metadata,
    Column("assessment_id", Id, primary_key=True),
    Column("case_id", Id, nullable=False),
    Column("payment_id", Id, nullable=False, index=True),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("added_at", Time, nullable=False),
    # from the gateway's events
    Column("payment_status", Id, nullable=False, server_default=text("'unknown'")),
    Column("payment_version", Integer, nullable=False, server_default=text("0")),
    Column("is_manual", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint(f"payment_status IN ({_words(PaymentStatus)})", name="payment_status"),
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
    CheckConstraint(f"kind IN ({_words(LabelKind)})", name="kind"),
    CheckConstraint(f"source IN ({_words(LabelSource)})", name="source"),
)
Index("label_assessment_id_idx", label.c.assessment_id)
Index("label_payment_id_idx", label.c.payment_id, label.c.source, label.c.labelled_at, label.c.id)

# A rule that does not count for one card, customer, device or address for a while.
rule_snooze = Table(
    "rule_snooze",
    metadata,
    Column("id", Id, primary_key=True),
    Column("change", BigInteger, nullable=False, unique=True),  # in order of commits: how processes follow
    Column("rule", Id, nullable=False),
    Column("by_what", Id, nullable=False),
    Column("entity", Id, nullable=False),  # <by_what>:<fingerprint>
    Column("assessment_id", Id, nullable=False),  # from whose payment the entity is
    Column("until", Time, nullable=False),
    Column("reason", String, nullable=False),
    Column("made_by", Id, nullable=False),
    Column("made_at", Time, nullable=False, server_default=NOW),
    Column("ended_by", Id),
    Column("ended_at", Time),
    CheckConstraint(f"by_what IN ({_words(SnoozedBy)})", name="by_what"),
)
Index("rule_snooze_until_idx", rule_snooze.c.until, postgresql_where=rule_snooze.c.ended_at.is_(None))

outbox = outbox_tables(metadata)
consumer_cursor = cursor_table(metadata)
job_run = job_run_table(metadata)

APPEND_ONLY = (
    "alert_act",
    "assessment",
    "assessment_chain",
    "case_act",
    "drift_reference",
    "explanation",
    "label",
    "rule_set",
    "rule_set_approval",
    "rule_set_publication",
)
