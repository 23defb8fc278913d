"""Rules that rest for an entity."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, String, Table

from risk_engine.domain.snoozes import SnoozedBy
from risk_engine.store.tables.schema import NOW, Id, Time, metadata, words

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
    CheckConstraint(f"by_what IN ({words(SnoozedBy)})", name="by_what"),
)
Index("rule_snooze_until_idx", rule_snooze.c.until, postgresql_where=rule_snooze.c.ended_at.is_(None))
